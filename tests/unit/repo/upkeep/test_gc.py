"""Which segments are merged. What stays readable meanwhile is tested with those who read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.repo.log import read_manifest, read_ref
from dbx.repo.replica.receive import sealed
from dbx.repo.upkeep import gc
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import writing
from tests.history import append, open_repository


def test_none_is_merged_into_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()

    def sizes() -> list[int]:
        ref = read_ref(domain.directory)
        assert ref is not None
        return [entry.size for entry in read_manifest(domain.directory, ref.manifest)]

    for n in range(5):
        append(domain, f"o-{n}")
        with writing(domain):
            sealed(domain)
    before = sizes()
    assert len(before) == 5
    monkeypatch.setattr(gc, "_MOST_BYTES", 2 * max(before))
    done = collect(domain)
    assert (done.merged, done.segments) == (4, 3)
    assert len(sizes()) == 3
    assert sizes()[2] == before[4]
    monkeypatch.setattr(gc, "_MOST_BYTES", 1 << 30)
    assert collect(domain).merged == 3
    assert len(sizes()) == 1
    repository.close()
