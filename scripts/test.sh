#!/usr/bin/env bash
# Set up if needed, then run style checks, types and all tests. `--slow` adds the slow tests; other arguments go
# to pytest. FCINV_MANTID says whether plugins run on a real Mantid (real) or on the stand-in of the tests (standin).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/set_up.sh
export FCINV_MANTID="${FCINV_MANTID:-standin}"

selection=(-m "not slow")
arguments=()
for argument in "$@"; do
    if [[ $argument == --slow ]]; then selection=(); else arguments+=("$argument"); fi
done

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
exec .venv/bin/python -m pytest --numprocesses 2 "${selection[@]}" "${arguments[@]}"
