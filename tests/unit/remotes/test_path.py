"""The path transport keeps the contract, and what it hard-links is its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.ops.clone import clone
from dbx.ops.fetch import pull
from dbx.ops.session import Session
from dbx.repo.upkeep.gc import collect
from tests.history import fill
from tests.unit.remotes.contract import ACCESS, Far, TransportContract, assert_sound, grow


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

    def test_gc_keeps_one_copy_of_what_the_tracking_ref_names(self, cloned: Session, far: Far) -> None:
        for name in ("o-7", "o-8", "o-9"):
            grow(far.path, name)
            pull(cloned, None, ACCESS)
        collect(cloned.domain)
        assert len(cloned.domain.directory.names("segments")) == 1
        assert len(cloned.domain.directory.names("manifests")) == 1
        assert pull(cloned, None, ACCESS).up_to_date
        assert_sound(Path(cloned.repository.path).parent)

    @pytest.mark.parametrize("ending", ["", "/.dbx", "/.dbx/domains/default", "#default"])
    def test_every_way_to_write_it(self, near: Session, far: Far, ending: str) -> None:
        assert clone(near, far.url + ending, "copy", ACCESS).commits == 3

    def test_what_is_no_repository(self, near: Session, tmp_path: Path) -> None:
        with pytest.raises(RemoteFailure, match="not a dbx repository"):
            clone(near, str(tmp_path / "nothing"), "copy", ACCESS)
