#!/usr/bin/env bash
# Set up if needed, then run the main job on germanium as far as it exists: dispersion, ensemble of force fields,
# training set, folded measurement.
# Usage: bash scripts/demo.sh [FOLDER]     (default: demo)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/set_up.sh
out=${1:-demo}
ge=fcinv_core/data/ensembles/ge

echo "1. Dispersion and I(q, E) of germanium from the force constants of one force field"
.venv/bin/fcinv simulate "$ge/POSCAR" "$ge/phonopy_params_sevennet-7net-l3i5.yaml.xz" --out "$out/simulation"

echo
echo "2. Training set of 10 000 spectra drawn around an ensemble of eight force fields"
.venv/bin/fcinv generate "$ge/POSCAR" --force-constants "$ge" --n 10000 --out "$out/training.h5"

echo
echo "3. Check and fold the events of a virtual measurement of germanium"
virtual=fcinv_core/data/virtual
.venv/bin/fcinv check "$virtual/ge_small.nxs" --structure "$virtual/POSCAR" --out "$out/check"
.venv/bin/fcinv fold "$virtual/ge_small.nxs" --structure "$virtual/POSCAR" --out "$out/folded.nxs" --pictures "$out/fold"

echo
echo "Pictures and tables are in $out:"
find "$out" -type f | sort | sed 's/^/  /'
