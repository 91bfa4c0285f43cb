"""Files that are made for others, outside of any repository: whole or not there, open to whom the umask lets in."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Failure
from dbx.store.fs import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.store.fs import TemporaryFile

PRIVATE = 0o600
_SYSTEM = ("/dev/", "/proc/")


def write_outside(path: str, data: bytes, *, private: bool = False) -> None:
    """Replace the file at `path`, durably. Readable as the umask has it, or by the owner alone. Raises Failure."""
    with writing_outside(path, private=private) as file:
        file.write(data)


@contextmanager
def writing_outside(path: str, *, private: bool = False) -> Iterator[TemporaryFile]:
    """`write_outside` piece by piece: the file is there once the block has ended without an error."""
    parent, name = os.path.split(os.path.realpath(path))
    if not name or os.path.isdir(path):
        raise Failure(f"'{path}' is a directory, not a file")
    if os.path.abspath(path).startswith(_SYSTEM) or (os.path.exists(path) and not os.path.isfile(path)):
        # A device or a pipe would be replaced by a file; so would be what /dev/stdout leads to.
        raise Failure(f"'{path}' is not a regular file", hint="write to a file, then send it where you want it")
    if not os.path.isdir(parent):
        raise Failure(f"there is no directory '{parent}'", hint="make it first")
    with Directory(parent).temporary() as file:
        yield file
        file.publish(name, PRIVATE if private else shared_mode())


def write_zip(path: str, directory: Directory) -> None:
    """Replace the file at `path` by a zip of a directory: the same bytes for the same files, whoever packs and when."""
    import zipfile

    parent, name = os.path.split(os.path.abspath(path))
    with Directory(parent).temporary() as file:
        with os.fdopen(os.dup(file.fd), "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for entry in directory.walk():
                info = zipfile.ZipInfo(entry, date_time=(1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                fd = directory.open_read(entry)
                with os.fdopen(fd, "rb") as source, packed.open(info, "w") as target:
                    while piece := source.read(1 << 20):
                        target.write(piece)
        file.publish(name, shared_mode())


def shared_mode() -> int:
    """The permissions that a file for others gets: what the umask leaves of rw-rw-rw-."""
    # Asking means setting. For that moment the strictest there is, lest another thread make a file open to all.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
