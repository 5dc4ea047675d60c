"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fcinv_core.errors import InputError


@contextlib.contextmanager
def replace_when_complete(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; when the block ends well, flush it to disk and rename it.

    If the block raises, the temporary file is removed and what stood at ``path`` before is untouched.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or ``path`` is a folder itself.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} cannot be written", "it is a folder", "name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept last, because writers choose their format by it.
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written", str(error.strerror or error), "choose a folder you can write to"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private; what we hand over follows the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``, whole or not at all."""
    with replace_when_complete(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_replaceable(folder: Path, mark: str) -> None:
    """Raise InputError unless ``folder`` is free, empty, or holds the file ``mark`` of an earlier result."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} cannot be written", "it is a file", "name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        raise InputError(f"{folder} cannot be written", f"it holds files but no {mark}", "name a new folder")


@contextlib.contextmanager
def replace_folder_when_complete(folder: Path, mark: str) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; when the block ends well, it takes the place of ``folder``.

    If the block raises, the temporary folder is removed and what stood at ``folder`` before is untouched.

    Parameters
    ----------
    folder
        Where the files are meant to be.
    mark
        See `check_replaceable`.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or holds something else.
    """
    folder = Path(folder)
    check_replaceable(folder, mark)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written", str(error.strerror or error), "choose a folder you can write to"
        ) from error
    earlier = temporary.with_name(f"{temporary.name}-earlier")
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if folder.exists():
            folder.rename(earlier)
        temporary.rename(folder)
    except BaseException:
        if earlier.exists() and not folder.exists():
            earlier.rename(folder)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)
