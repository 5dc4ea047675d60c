"""Files that are open already can be opened again."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import pytest

from fcinv_core.hdf5 import open_hdf5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "numbers.h5", "w") as file:
        file["numbers"] = [1, 2, 3]
    return tmp_path / "numbers.h5"


def test_a_file_that_another_library_holds_open_is_read_and_stays_open(path: Path) -> None:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    held = h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDWR, access)
    dataset = h5py.h5d.open(held, b"numbers")
    with pytest.raises(OSError, match="close degree"):
        h5py.File(path, "r")
    with open_hdf5(path) as file:
        assert file["numbers"][()].tolist() == [1, 2, 3]
    assert dataset.valid
    assert dataset.shape == (3,)
    held.close()


def test_what_is_no_hdf5_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("numbers")
    with pytest.raises(OSError, match="signature"):
        open_hdf5(tmp_path / "text")
