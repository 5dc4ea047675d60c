"""Arrays as sample logs: Mantid keeps lists of numbers through loading and saving, and drops all other arrays.

An array is one flat list of double-precision numbers; shape and type stand in a table beside it. Lists are shown
shortened in a table of sample logs, however long they are, which strings are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray

#: Names of all array logs begin with it.
PREFIX = "fcinv_"
#: Collection to name of the array to (type, shape).
ArrayTable = dict[str, dict[str, tuple[str, list[int]]]]

#: Integers beyond this are not all double-precision numbers.
_LARGEST_INTEGER = 2**53


def flatten(collections: Mapping[str, Mapping[str, NDArray[Any]]]) -> tuple[dict[str, FloatArray], ArrayTable]:
    """Turn arrays into logs.

    Parameters
    ----------
    collections
        Arrays of real numbers by collection and name.

    Returns
    -------
    Log name to numbers (n,), without arrays that hold none, and the table that `restore` needs.

    Raises
    ------
    ValueError
        If an array holds anything but real numbers, or integers too large for a double-precision number.
    """
    logs: dict[str, FloatArray] = {}
    table: ArrayTable = {}
    for collection, members in collections.items():
        table[collection] = {}
        for name, member in members.items():
            array = np.asarray(member)
            if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
                raise ValueError(f"{collection}/{name} is of type {array.dtype}: real numbers were expected")
            if array.dtype.kind in "iu" and array.size and np.abs(array).max() > _LARGEST_INTEGER:
                raise ValueError(f"{collection}/{name} holds integers beyond 2^53")
            table[collection][name] = (array.dtype.str, list(array.shape))
            if array.size:
                logs[_log_name(collection, name)] = np.asarray(array, dtype=float).ravel()
    return logs, table


def restore(table: ArrayTable, read: Callable[[str], FloatArray]) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the arrays of `flatten`, bit for bit.

    Parameters
    ----------
    table
        From `flatten`; lists in place of tuples, as JSON gives it, do.
    read
        Called with the name of a log, returns its numbers (n,).

    Raises
    ------
    ValueError
        If a log holds another number of values than its shape says.
    """
    return {
        collection: {
            name: (read(_log_name(collection, name)) if np.prod(shape) else np.empty(0))
            .astype(np.dtype(kind))
            .reshape(shape)
            for name, (kind, shape) in members.items()
        }
        for collection, members in table.items()
    }


def _log_name(collection: str, name: str) -> str:
    return f"{PREFIX}{collection}_{name}"
