"""Between Mantid's workspaces and the core: events, histograms, tables, logs and samples.

Nothing outside of this package and of the algorithms in ``plugins`` touches an object of Mantid. Importing it does
not import Mantid. Events and histograms pass through files of Mantid's own layout, because Python sees no events,
and because one function then decides what a file and a workspace hold.
"""

import os

import numba

# Mantid runs algorithms at the same time, and the layer that numba falls back to ends the process when two of them
# enter a parallel loop.
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "threadsafe"  # type: ignore[attr-defined]
