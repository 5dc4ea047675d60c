"""How many variables, and which, a call is assigned to."""

from __future__ import annotations

import dis
import inspect
from types import FrameType
from typing import Any

_STORES = ("STORE_NAME", "STORE_FAST", "STORE_GLOBAL", "STORE_DEREF")


def lhs_info(output_type: str = "both", frame: FrameType | None = None) -> Any:
    """Return number and names of the variables left of the equals sign, of the caller's caller by default."""
    if frame is None:
        here = inspect.currentframe()
        frame = None if here is None or here.f_back is None else here.f_back.f_back
    if frame is None:
        return 0, ()
    # The position of a call that Python inlines is that of its cache, which follows the instruction.
    following = [
        step
        for step in dis.get_instructions(frame.f_code)
        if step.offset > frame.f_lasti and step.opname not in ("CACHE", "EXTENDED_ARG")
    ]
    names = _names(following)
    return {"both": (len(names), names), "nreturns": len(names), "names": names}[output_type]


def _names(following: list[dis.Instruction]) -> tuple[str, ...]:
    first = following[0]
    if first.opname in _STORES:
        return (str(first.argval),)
    if first.opname == "UNPACK_SEQUENCE":
        targets = following[1 : 1 + int(first.arg or 0)]
        if all(step.opname in _STORES for step in targets):
            return tuple(str(step.argval) for step in targets)
    return ()
