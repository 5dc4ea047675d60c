"""Strings and numbers as Mantid writes them: datasets of one element, strings of fixed length."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np


def read_text(group: Any, path: str, default: str = "") -> str:
    """Return a string dataset, the default if there is none."""
    if path not in group:
        return default
    value = np.ravel(group[path][()])[0]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if text == " " else text


def read_number(group: Any, path: str, default: float = 0.0) -> float:
    """Return a number, the default if there is none."""
    return float(np.ravel(group[path][()])[0]) if path in group else default


def attribute_text(item: Any, name: str, default: str = "") -> str:
    """Return a string attribute, the default if there is none."""
    if name not in item.attrs:
        return default
    value = np.ravel(item.attrs[name])[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def write_text(group: Any, name: str, text: str) -> Any:
    """Write a string; an empty one becomes a blank."""
    encoded = text.encode("utf-8") or b" "
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(encoded))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple((1,)))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([encoded]), mtype=kind)
    return group[name]


def write_number(group: Any, name: str, value: float, dtype: Any = np.float64) -> Any:
    """Write a number as an array of one."""
    return group.create_dataset(name, data=np.array([value], dtype=dtype))


def new_group(parent: Any, name: str, kind: str, /, **attributes: Any) -> Any:
    """Return a new group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = np.bytes_(kind)
    for key, value in attributes.items():
        group.attrs[key] = np.bytes_(value) if isinstance(value, str) else value
    return group
