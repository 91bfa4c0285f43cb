"""A staged batch of many bytes: the index adopts it in a thread while the segment is written."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import clear, stage
from dbx.repo.domain import Domain
from dbx.store.staging import read_blocks
from tests.history import append, item, open_repository
from tests.oracle import agrees

PACKED_BYTES = 4 * 1024 * 1024


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened.domain()


@pytest.fixture
def file(domain: Domain) -> Path:
    """A staged batch on an aggregate that is committed, and on others that are not; `o-1` is at version 1."""
    append(domain, "o-1")
    draw = random.Random(7)
    items = [item(f"o-{n % 9}", n=n, x=draw.randbytes(70_000).hex()) for n in range(72)]
    stage(domain, [(n, sent, None) for n, sent in enumerate(items, 1)], issued_by=None)
    file = Path(domain.directory.path_of("staging.jsonl"))
    assert file.stat().st_size > PACKED_BYTES
    return file


def test_it_is_history_and_in_the_index(domain: Domain, file: Path) -> None:
    blocks = list(read_blocks(domain.directory, file.stat().st_size))
    done = commit_staged(domain, actor=None)
    assert done is not None
    assert done[0].count == 72
    assert not file.exists()
    (segment,) = Path(domain.directory.path_of("segments")).iterdir()
    data = segment.read_bytes()
    assert all(half.stored in data for block in blocks for half in (block.envelopes, block.bodies))
    assert sum(block.events for block in blocks if not block.lines) == 72
    for _ in range(2):
        assert len(agrees(domain).events) == 73
        found = query.get_aggregate(domain, "order", "o-1")
        assert (found.version, found.state["n"]) == (9, 64)
        assert query.verify_aggregate(domain, "order", "o-1") == found
        assert query.get_aggregate(domain, "order", "o-8").version == 8
        domain.close()
    append(domain, "o-8")
    assert query.get_aggregate(domain, "order", "o-8").version == 9


def test_where_the_file_turns_out_to_be_damaged_nothing_of_it_is_adopted(domain: Domain, file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5000] ^= 1
    file.write_bytes(data)
    with pytest.raises(Corrupt, match=r"'staging\.jsonl' is damaged"):
        commit_staged(domain, actor=None)
    assert len(agrees(domain).events) == 1
    assert query.get_aggregate(domain, "order", "o-1").version == 1
    assert clear(domain) == 72
    append(domain, "o-1")
    assert len(agrees(domain).events) == 2
