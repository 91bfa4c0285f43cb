"""Files that are made for others, outside of any repository: whole or not there, open to whom the umask lets in."""

from __future__ import annotations

import os

from dbx.errors import Failure
from dbx.store.fs import Directory

PRIVATE = 0o600


def write_outside(path: str, data: bytes, *, private: bool = False) -> None:
    """Replace the file at `path`, durably. Readable as the umask has it, or by the owner alone. Raises Failure."""
    parent, name = os.path.split(os.path.abspath(path))
    if not name or os.path.isdir(path):
        raise Failure(f"'{path}' is a directory, not a file")
    if not os.path.isdir(parent):
        raise Failure(f"there is no directory '{parent}'", hint="make it first")
    Directory(parent).write(name, data, PRIVATE if private else shared_mode())


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
