"""LoadMD and SaveMD."""

from __future__ import annotations

import os
from pathlib import Path

import h5py

from mantid._algorithms.arguments import held, put, value
from mantid._nexus import md_events, md_histo
from mantid.api._algorithm import Algorithm
from mantid.api._md_events import MDEventData
from mantid.api._md_histo import MDHistoData
from mantid.api._native_algorithm import native


@native("LoadMD")
def load_md(algorithm: Algorithm) -> None:
    """Load events or a histogram."""
    path = Path(value(algorithm, "Filename"))
    if not h5py.is_hdf5(path):
        raise RuntimeError(f"{path} is not a NeXus file")
    with h5py.File(path, "r") as file:
        is_events, is_histogram = md_events.ENTRY in file, md_histo.ENTRY in file
    with_history = value(algorithm, "LoadHistory")
    data: MDEventData | MDHistoData
    if is_events:
        backed = value(algorithm, "FileBackEnd")
        data = md_events.read_events(path, with_history, value(algorithm, "MetadataOnly"))
        if backed:
            _back(data, path)
    elif is_histogram:
        data = md_histo.read_histogram(path, with_history)
    else:
        raise RuntimeError(f"No MDEventWorkspace or MDHistoWorkspace in {path}")
    put(algorithm, "OutputWorkspace", data)


@native("SaveMD")
def save_md(algorithm: Algorithm) -> None:
    """Save events or a histogram."""
    data = held(algorithm, "InputWorkspace")
    path = Path(value(algorithm, "Filename"))
    if not value(algorithm, "Filename"):
        raise ValueError("Filename is empty")
    if isinstance(data, MDHistoData):
        md_histo.write_histogram(path, data)
    elif not isinstance(data, MDEventData):
        raise RuntimeError("SaveMD can only save MDEventWorkspaces and MDHistoWorkspaces.")
    elif value(algorithm, "UpdateFileBackEnd"):
        if not data.file:
            raise RuntimeError("MDEventWorkspace is not file-backed. Do not check UpdateFileBackEnd!")
    else:
        md_events.write_events(path, data)
        if value(algorithm, "MakeFileBacked"):
            _back(data, path)


def _back(data: MDEventData, path: Path) -> None:
    """Let events stay in a file, which is held open as NeXus does: what is open in it is closed with it."""
    data.file = str(path)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    data.held_open = h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDWR, access)
