"""The path transport keeps the contract, and what it hard-links is its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.ops.clone import clone
from dbx.ops.session import Session
from tests.history import fill
from tests.unit.remotes.contract import ACCESS, Far, TransportContract


class TestPath(TransportContract):
    @pytest.fixture
    def far(self, tmp_path: Path) -> Far:
        path = tmp_path / "far"
        path.mkdir()
        fill(path)
        return Far(path, str(path))

    def test_segments_of_our_own_are_linked(self, cloned: Session, far: Far) -> None:
        (mine,) = Path(cloned.domain.directory.path, "segments").iterdir()
        (theirs,) = (far.path / ".dbx/domains/default/segments").iterdir()
        assert os.path.samefile(mine, theirs)

    @pytest.mark.parametrize("ending", ["", "/.dbx", "/.dbx/domains/default", "#default"])
    def test_every_way_to_write_it(self, near: Session, far: Far, ending: str) -> None:
        assert clone(near, far.url + ending, "copy", ACCESS).commits == 3

    def test_what_is_no_repository(self, near: Session, tmp_path: Path) -> None:
        with pytest.raises(RemoteFailure, match="not a dbx repository"):
            clone(near, str(tmp_path / "nothing"), "copy", ACCESS)
