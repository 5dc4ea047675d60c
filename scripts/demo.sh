#!/usr/bin/env bash
# Set up if needed, then go through the whole method on germanium with `fcinv demo`: training set, a small network,
# fold of a virtual experiment, inversion, report. Two to three minutes on two cores.
# Usage: bash scripts/demo.sh [FOLDER]     (default: demo)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/set_up.sh
.venv/bin/fcinv demo --out "${1:-demo}"
