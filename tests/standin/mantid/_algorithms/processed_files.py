"""SaveNexusProcessed, LoadNexusProcessed and Load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from mantid._algorithms.arguments import held, put, value
from mantid._algorithms.md_files import load_md
from mantid._nexus import processed
from mantid.api._algorithm import Algorithm
from mantid.api._matrix_workspace import MatrixData
from mantid.api._native_algorithm import native
from mantid.api._table import TableData


@native("SaveNexusProcessed")
def save_nexus_processed(algorithm: Algorithm) -> None:
    """Save spectra or a table."""
    data = held(algorithm, "InputWorkspace")
    if not isinstance(data, MatrixData | TableData):
        raise RuntimeError("SaveNexusProcessed can save matrix and table workspaces only.")
    processed.write_processed(Path(value(algorithm, "Filename")), data, value(algorithm, "Title"))


@native("LoadNexusProcessed")
def load_nexus_processed(algorithm: Algorithm) -> None:
    """Load spectra or a table."""
    path = Path(value(algorithm, "Filename"))
    put(algorithm, "OutputWorkspace", processed.read_processed(path, value(algorithm, "LoadHistory")))


@native("Load")
def load(algorithm: Algorithm) -> None:
    """Load a file by the algorithm that knows it; a loose collection beside the entry confuses the choice."""
    [name] = value(algorithm, "Filename")
    with h5py.File(name, "r") as file:
        kinds = {key: file[key].attrs.get("NX_class", b"") for key in file}
    if any(kind in (b"NXcollection", "NXcollection") for kind in kinds.values()):
        raise RuntimeError(f"Cannot find a loader for {name}")
    loader: Any = algorithm.createChildAlgorithm("LoadNexusProcessed" if processed.ENTRY in kinds else "LoadMD")
    loader.setPropertyValue("Filename", name)
    loader.execute()
    put(algorithm, "OutputWorkspace", held(loader, "OutputWorkspace"))
    algorithm.setPropertyValue("LoaderName", loader.name())


__all__ = ["load", "load_md", "load_nexus_processed", "save_nexus_processed"]
