"""How files look from outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbx.store.stamp import is_still, stamp_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    assert stamp_of(path) is None
    assert is_still(path, None)
    (tmp_path / "file").write_bytes(b"")
    assert not is_still(path, None)


def test_every_change_shows(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")
    stamp = stamp_of(str(file))
    assert stamp is not None
    assert stamp[2] == 1
    assert is_still(str(file), stamp)
    os.utime(file, ns=(1, 2))
    assert not is_still(str(file), stamp)
    touched = stamp_of(str(file))
    file.write_bytes(b"22")
    os.utime(file, ns=(1, 2))
    assert not is_still(str(file), touched)
    written = stamp_of(str(file))
    (tmp_path / "other").write_bytes(b"33")
    os.utime(tmp_path / "other", ns=(1, 2))
    (tmp_path / "other").rename(file)
    assert not is_still(str(file), written)
    now = stamp_of(str(file))
    file.unlink()
    assert not is_still(str(file), now)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert stamp_of(str(tmp_path / "link")) is None
    (tmp_path / "file").write_bytes(b"1")
    assert stamp_of(str(tmp_path / "link")) == stamp_of(str(tmp_path / "file"))
