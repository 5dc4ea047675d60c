"""Opening HDF5 files, also those that another library holds open in this process."""

from __future__ import annotations

import os
from pathlib import Path

import h5py

#: What HDF5 says of a file that is open already, to be closed in another way than h5py asks for.
_OPEN_ALREADY = "file close degree doesn't match"


def open_hdf5(path: Path | str) -> h5py.File:
    """Open a file for reading, also one in which a workspace of Mantid lives.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if _OPEN_ALREADY not in str(error):
            raise
    # As NeXus opens files for Mantid: all that is open in one is closed with it.
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, access))
