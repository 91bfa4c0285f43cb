"""A held index reads until it writes, and then the file is opened again: it may be another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.store.heldindex import HeldIndex
from dbx.store.index import Index, IndexDamaged


def test_where_it_cannot_be_opened_again_it_can_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = Index(str(path))
    base = index.head()
    index.close()

    def spoil() -> None:
        path.unlink()
        path.write_bytes(b"no database, however long it is" * 100)

    held = HeldIndex(str(path), base, before_writing=spoil)
    with pytest.raises(IndexDamaged):
        held.hold()
    held.close()
    held.close()
