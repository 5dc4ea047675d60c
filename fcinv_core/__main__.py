"""`python -m fcinv_core` is the same as `fcinv`."""

import sys

from fcinv_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
