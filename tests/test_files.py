"""Errors that people read, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from fcinv_core.errors import InputError
from fcinv_core.files import (
    check_replaceable,
    replace_folder_when_complete,
    replace_when_complete,
    sha256,
    write_text,
)


def test_an_error_is_one_sentence_with_what_why_and_what_to_do() -> None:
    error = InputError("poscar.txt is not a crystal", "no line gives the lattice", "give a POSCAR")
    assert str(error) == "poscar.txt is not a crystal: no line gives the lattice; give a POSCAR."
    assert (error.what, error.why, error.do) == (
        "poscar.txt is not a crystal",
        "no line gives the lattice",
        "give a POSCAR",
    )


def test_a_finished_block_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with replace_when_complete(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "result.h5"
    target.write_text("old")

    def work() -> None:
        with replace_when_complete(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        work()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_raises_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replace_when_complete(tmp_path / "new" / "result.h5"):
        raise RuntimeError
    assert not list((tmp_path / "new").iterdir())


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "text.txt", "Γ–X")
    assert (tmp_path / "a" / "b" / "text.txt").read_text(encoding="utf-8") == "Γ–X"


def test_a_written_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "text.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "text.txt").stat().st_mode) == 0o640


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "below.txt", "x")


def test_a_folder_in_the_place_of_the_file_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="it is a folder"), replace_when_complete(tmp_path / "taken"):
        pytest.fail("the block must not run")


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"phonon" * 100_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"phonon" * 100_000).hexdigest()


def test_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "result"

    def fail() -> None:
        with replace_folder_when_complete(folder, "mark") as temporary:
            (temporary / "mark").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with replace_folder_when_complete(folder, "mark") as temporary:
        (temporary / "mark").write_text("first")
        assert not folder.exists()
    with pytest.raises(RuntimeError):
        fail()
    assert (folder / "mark").read_text() == "first"
    with replace_folder_when_complete(folder, "mark") as temporary:
        (temporary / "mark").write_text("second")
    assert (folder / "mark").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    for taken in (tmp_path, tmp_path / "other"):
        with pytest.raises(InputError, match="cannot be written"):
            check_replaceable(taken, "mark")
    (tmp_path / "empty").mkdir()
    check_replaceable(tmp_path / "empty", "mark")
    check_replaceable(tmp_path / "new", "mark")
