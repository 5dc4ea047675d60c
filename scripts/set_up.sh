#!/usr/bin/env bash
# Make the virtual environment .venv with fcinv and its tests, unless it is there and complete already.
# Source it or run it from anywhere; PYTHON=python3.12 chooses another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=.venv/.complete
if [[ ! -f $stamp || pyproject.toml -nt $stamp || constraints.txt -nt $stamp ]]; then
    python=${PYTHON:-}
    if [[ -z $python ]]; then
        for candidate in python3.11 python3.12 python3; do
            if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
                python=$candidate
                break
            fi
        done
    fi
    if [[ -z $python ]]; then
        echo "fcinv needs Python 3.11 or 3.12, and neither was found; install one or set PYTHON=/its/path" >&2
        exit 2
    fi
    echo "setting up .venv with $("$python" --version); this takes some minutes the first time" >&2
    [[ -x .venv/bin/python ]] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
    touch "$stamp"
fi
