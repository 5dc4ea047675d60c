"""What commands say while they work."""

from __future__ import annotations

import sys


def tell(sentence: str) -> None:
    """Say what is being done to a person who watches, and nothing to a file or pipe."""
    if sys.stderr.isatty():
        print(f"  {sentence}", file=sys.stderr, flush=True)
