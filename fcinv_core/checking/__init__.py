"""What to look at before believing a measurement: orientation, elastic line, powder lines, symmetry, coverage."""

from fcinv_core.checking.check import Check, check_events
from fcinv_core.checking.page import write_check
from fcinv_core.verdict import Finding, Status

__all__ = ["Check", "Finding", "Status", "check_events", "write_check"]
