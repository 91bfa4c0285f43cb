"""What a ref keeps that is not the branch: its segments, as files."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.repo.log import decode_entry, missing_file, read_manifest
from dbx.store.segments import Commits, FrameReader, segment_name

if TYPE_CHECKING:
    from dbx.formats.refs import Ref
    from dbx.store.fs import Directory

_BUFFER = 1 << 20


def end_of(directory: Directory, ref: Ref) -> int:
    """How many events there are up to and with the commit of a ref that is not the branch."""
    entry = read_manifest(directory, ref.manifest)[-1]
    name = segment_name(entry.sha256)
    fd = directory.open_read(name)
    try:
        reader = FrameReader(fd, name)
        last = b""
        for item in reader.items(reader.header()[1]):
            if isinstance(item, Commits):
                last = item.lines[-1]
        commit = decode_entry(last).commit
        return commit.position + commit.count
    finally:
        os.close(fd)


def check_files(directory: Directory, ref: Ref) -> None:
    """The segments that would come back are whole. Raises Corrupt."""
    for entry in read_manifest(directory, ref.manifest):
        name = segment_name(entry.sha256)
        try:
            fd = directory.open_read(name)
        except FileNotFoundError:
            raise missing_file(name) from None
        digest = sha256()
        try:
            while data := os.read(fd, _BUFFER):
                digest.update(data)
        finally:
            os.close(fd)
        if digest.hexdigest() != entry.sha256:
            raise Corrupt(f"'{name}' does not have the hash that is its name", details={"file": name})
