"""Sealing: segment, manifest, ref, each durable before the next; and what stands in the way of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Corrupt
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender, writing
from dbx.store.journal import SEAL_BYTES
from tests.history import append, item, open_repository
from tests.oracle import agrees


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened.domain()


def entries(domain: Domain, part: str) -> list[str]:
    return domain.directory.names(part)


def test_a_journal_that_has_grown_is_sealed(domain: Domain) -> None:
    appender = Appender(domain)
    size = 0
    while not entries(domain, "segments"):
        payload = {"x": os.urandom(100_000).hex()}
        appender.append(Append([item(f"o-{n}") | {"payload": payload} for n in range(4)], issued_by=None))
        size += 800_000
        assert size < 2 * SEAL_BYTES
    assert size > SEAL_BYTES
    assert [name for name in entries(domain, "") if name.startswith("journal")] == []
    append(domain, "o-1")
    agrees(domain)


def test_a_large_batch_is_a_segment_at_once_and_takes_the_journal_with_it(domain: Domain) -> None:
    append(domain, "o-1")
    append(domain, "o-2")
    big = [item(f"o-{n % 50}", x="z" * 900, n=n) for n in range(1400)]
    Appender(domain).append(Append(big, issued_by=None))
    assert len(entries(domain, "segments")) == 1
    assert domain.sync().head.journal == ""
    append(domain, "o-1")
    log = agrees(domain)
    assert [commit["count"] for commit in log.commits] == [1, 1, 1400, 1]
    domain.close()
    agrees(domain)


def test_events_of_any_size_make_blocks_of_a_good_size(domain: Domain) -> None:
    sizes = [10, 250_000, 10, 10, 70_000, 250_000, 250_000, 250_000, 250_000, 5, 100_000]
    Appender(domain).append(Append([item("o-1", x="y" * size) for size in sizes], issued_by=None))
    assert [len(e.payload["x"]) for e in query.iterate_events(domain) if e.payload] == sizes
    agrees(domain)


def test_a_journal_that_cannot_be_removed_fails_no_commit(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    append(domain, "o-1")
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if str(path).startswith("journal-"):
            raise PermissionError(1, "not permitted", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    Appender(domain).append(Append([item("o-1", x="z" * 900, n=n) for n in range(1400)], issued_by=None))
    assert len(agrees(domain).commits) == 2
    assert [name for name in entries(domain, "") if name.startswith("journal")]
    monkeypatch.undo()
    append(domain, "o-1")
    assert len([name for name in entries(domain, "") if name.startswith("journal")]) == 1
    assert len(agrees(domain).commits) == 3


def test_a_damaged_journal_is_not_sealed(domain: Domain) -> None:
    for n in range(3):
        append(domain, f"o-{n}")
    domain.close()
    path = Path(domain.directory.path)
    (journal,) = path.glob("journal-0-*")
    data = bytearray(journal.read_bytes())
    data[data.index(b'"o-1"') + 2] ^= 1
    journal.write_bytes(data)
    big = [item("o-1", x="z" * 900, n=n) for n in range(1400)]
    for act in (lambda: collect(domain), lambda: Appender(domain).append(Append(big, issued_by=None))):
        with pytest.raises(Corrupt, match="damaged at byte"):
            act()
    assert entries(domain, "segments") == []
    assert entries(domain, "manifests") == []
    assert journal.read_bytes() == bytes(data)


def test_a_torn_tail_is_left_out(domain: Domain) -> None:
    append(domain, "o-1")
    domain.close()
    (journal,) = Path(domain.directory.path).glob("journal-0-*")
    with journal.open("ab") as file:
        file.write(b"E\0\0\0half a frame")
    collect(domain)
    assert not agrees(domain).torn


def test_nothing_to_seal(domain: Domain) -> None:
    from dbx.repo.seal import seal

    with writing(domain) as working:
        assert not seal(domain, working, working.head)
    assert entries(domain, "segments") == []
    agrees(domain)
