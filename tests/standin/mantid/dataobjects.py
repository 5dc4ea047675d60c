"""The concrete kinds of workspaces."""

from mantid.api._matrix_workspace import MatrixWorkspace as _MatrixWorkspace
from mantid.api._md_events import IMDEventWorkspace as _IMDEventWorkspace
from mantid.api._md_histo import IMDHistoWorkspace as _IMDHistoWorkspace
from mantid.api._table import ITableWorkspace as _ITableWorkspace


class MDHistoWorkspace(_IMDHistoWorkspace):
    """A multidimensional histogram."""


class Workspace2D(_MatrixWorkspace):
    """Spectra in memory."""


class TableWorkspace(_ITableWorkspace):
    """A table in memory."""


for _n in range(1, 10):
    for _kind in ("MDEventWorkspace", "MDLeanEventWorkspace"):
        globals()[f"{_kind}{_n}D"] = type(f"{_kind}{_n}D", (_IMDEventWorkspace,), {"__module__": __name__})
