"""Replaying: an index made from the log alone, from any earlier state of it, and of logs whose bodies were erased."""

from __future__ import annotations

import hashlib
import shutil
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository
from tests.oracle import agrees
from tests.reader import frames, lines


def write_segment(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A segment of uncompressed frames, spelled out as the format page has it."""
    data = b"DBXSEG1\n"
    for kind, raw in parts:
        header = struct.pack(">cBHII", kind, 0, 0, len(raw), len(raw))
        data += header + struct.pack(">I", zlib.crc32(struct.pack(">Q", len(data)) + header + raw)) + raw
    return data


def rewrite(domain: Path, change: Callable[[bytes, list[bytes]], list[bytes]]) -> None:
    """Write the one segment of a domain anew, with the lines of each frame changed; manifest and ref follow."""
    (segment,) = (domain / "segments").iterdir()
    parts, _, _ = frames(segment.read_bytes(), segment.name)
    kept = [parts[0][::2]] + [(kind, b"\n".join(change(kind, lines(raw))) + b"\n") for kind, _, raw in parts[1:]]
    data = write_segment(kept)
    sha = hashlib.sha256(data).hexdigest()
    segment.unlink()
    (segment.parent / f"{sha}.seg").write_bytes(data)
    (manifest,) = (domain / "manifests").iterdir()
    _, _, rest = manifest.read_text().split(" ", 2)
    text = f"{sha} {len(data)} {rest}"
    manifest.unlink()
    name = hashlib.sha256(text.encode()).hexdigest()
    (manifest.parent / name).write_text(text)
    ref = domain / "refs/heads/main"
    ref.write_text(f"{ref.read_text().splitlines()[0]}\nmanifest {name}\n")


def erase(domain: Path, text: bytes) -> None:
    """Empty the bodies that hold a text."""
    rewrite(domain, lambda kind, held: [b"" if kind == b"B" and text in line else line for line in held])


@pytest.fixture
def erased(tmp_path: Path) -> Path:
    """A domain of which the first version of `o-1` was erased; `before.db` is its index of before."""
    path = tmp_path / ".dbx/domains/default"
    with closing(open_repository(tmp_path)) as repository:
        domain = repository.domain()
        appender = Appender(domain)
        first = item("o-1", secret="canary", kept=1) | {"metadata": {"@who": "canary"}}
        for sent in (first, item("o-1", kept=2), item("o-2", other=1)):
            appender.append(Append([sent], issued_by=None))
        domain.close()
        shutil.copy(path / "index.db", tmp_path / "before.db")
        told = {"version": 1, "reason": "asked to"}
        appender.append(Append([item("o-1", "body_erased") | {"payload": told}], issued_by=None, reserved=True))
        appender.append(Append([item("o-1", late=3)], issued_by=None))
        collect(domain)
    erase(path, b"canary")
    return path


def check_erased(domain: Domain) -> None:
    found = query.get_aggregate(domain, "order", "o-1")
    assert (found.state, found.extensions, found.version) == ({"kept": 2, "late": 3}, {}, 4)
    events = list(query.iterate_events(domain, "order", "o-1"))
    assert (events[0].payload, events[0].metadata, events[0].note) == (None, None, None)
    assert events[2].payload == {"reason": "asked to", "version": 1}
    assert query.verify_aggregate(domain, "order", "o-1") == found
    assert query.get_aggregate(domain, "order", "o-1", 1).state == {}
    agrees(domain)


def test_an_erased_body_is_folded_away_when_the_index_is_made_from_nothing(tmp_path: Path, erased: Path) -> None:
    (erased / "index.db").unlink()
    with closing(open_repository(tmp_path)) as repository:
        check_erased(repository.domain())
        append(repository.domain(), "o-2")
        check_erased(repository.domain())


def test_an_erased_body_is_folded_away_from_an_index_that_knew_it(tmp_path: Path, erased: Path) -> None:
    shutil.copy(tmp_path / "before.db", erased / "index.db")
    with closing(open_repository(tmp_path)) as repository:
        check_erased(repository.domain())


def test_an_erasure_in_the_journal_is_folded_too(tmp_path: Path) -> None:
    path = tmp_path / ".dbx/domains/default"
    with closing(open_repository(tmp_path)) as repository:
        domain = repository.domain()
        appender = Appender(domain)
        appender.append(Append([item("o-1", secret="canary"), item("o-1", kept=1)], issued_by=None))
        collect(domain)
        domain.close()
        told = {"version": 1, "reason": "asked to"}
        appender.append(Append([item("o-1", "body_erased") | {"payload": told}], issued_by=None, reserved=True))
        appender.append(Append([item("o-1", late=2)], issued_by=None))
        with closing(open_repository(tmp_path)) as other:  # a reader that meets the pending events
            assert query.get_aggregate(other.domain(), "order", "o-1").version == 4
        repository.close()
        assert len(list(path.glob("journal-1-*"))) == 1
        (path / "index.db").unlink()
    with closing(open_repository(tmp_path)) as repository:
        found = query.get_aggregate(repository.domain(), "order", "o-1")
        assert found.state == {"secret": "canary", "kept": 1, "late": 2}  # the body is still there
        assert query.verify_aggregate(repository.domain(), "order", "o-1") == found
        agrees(repository.domain())
        append(repository.domain(), "o-2")
        assert next(query.iterate_events(repository.domain(), "order", "o-1")).payload is None
        assert not (path / "erasing").exists()
        assert query.get_aggregate(repository.domain(), "order", "o-1").state == {"kept": 1, "late": 2}
        agrees(repository.domain())


def _change(kind: bytes, where: bytes, old: bytes, new: bytes) -> Callable[[bytes, list[bytes]], list[bytes]]:
    def change(found: bytes, held: list[bytes]) -> list[bytes]:
        assert len(old) == len(new)
        return [line.replace(old, new) if found == kind and where in line else line for line in held]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_change(b"B", b"canary", b"canary", b"parrot"), "the body of the event at position 0"),
        (_change(b"E", b'"version":2', b'"o-1"', b'"o-2"'), "position 1"),
        (_change(b"E", b'"version":2', b'"version":2', b'"version":3'), "position 1 is not version 3|version 2"),
        (_change(b"E", b'"version":1', b"placed", b"placid"), "do not have the root"),
        (_change(b"C", b'"seq":1', b'"position":1', b'"position":2'), "does not continue|position"),
        (_change(b"C", b'"seq":2', b'"count":1', b'"count":2'), "do not have the root"),
        (_change(b"C", b'"seq":1', b'"seq":1', b'"seq":3'), "do not go together"),
        (lambda kind, held: held[1:] if kind == b"C" else held, "does not continue|count"),
        (lambda kind, held: [*held[:2], *reversed(held[2:])] if kind == b"C" else held, "does not continue"),
    ],
)
def test_history_that_was_tampered_with_is_found_when_it_is_replayed(
    tmp_path: Path, change: Callable[[bytes, list[bytes]], list[bytes]], told: str
) -> None:
    with closing(open_repository(tmp_path)) as repository:
        for n in range(5):
            sent = item("o-1" if n != 3 else "o-2", x="canary" if n == 0 else str(n))
            Appender(repository.domain()).append(Append([sent], issued_by=None))
        collect(repository.domain())
        path = Path(repository.domain().directory.path)
    rewrite(path, change)
    (path / "index.db").unlink()
    with closing(open_repository(tmp_path)) as repository:
        for _ in range(2):
            with pytest.raises(Corrupt, match=told):
                query.list_aggregates(repository.domain())
        with pytest.raises(Corrupt):
            append(repository.domain(), "o-1")


def test_an_index_root_that_is_not_that_of_the_aggregates(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as repository:
        append(repository.domain(), "o-1")
        collect(repository.domain())
        path = Path(repository.domain().directory.path)
        root = query.get_commit(repository.domain(), 0).commit.index.encode()

    def change(kind: bytes, held: list[bytes]) -> list[bytes]:
        return [line.replace(b'"index":"' + root[:4], b'"index":"0123') if kind == b"C" else line for line in held]

    rewrite(path, change)
    (segment,) = (path / "segments").iterdir()
    parts, _, _ = frames(segment.read_bytes(), segment.name)
    tip = hashlib.sha256(b"\0" + lines(parts[-1][2])[0]).hexdigest()
    (manifest,) = (path / "manifests").iterdir()
    text = f"{manifest.read_text().rpartition(' ')[0]} {tip}\n"
    name = hashlib.sha256(text.encode()).hexdigest()
    (manifest.parent / name).write_text(text)
    (path / "refs/heads/main").write_text(f"commit {tip} 0\nmanifest {name}\n")
    (path / "index.db").unlink()
    with closing(open_repository(tmp_path)) as repository, pytest.raises(Corrupt, match="the index root that commit 0"):
        query.list_aggregates(repository.domain())


def test_a_long_log_is_replayed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index grows as the log is read; whoever is interrupted goes on from there."""
    monkeypatch.setattr("dbx.repo.replay._FLUSH_EVENTS", 7)
    with closing(open_repository(tmp_path)) as repository:
        for n in range(30):
            append(repository.domain(), f"o-{n % 4}", "all")
            if n in (12, 25):
                collect(repository.domain())
        path = Path(repository.domain().directory.path)
    (path / "index.db").unlink()
    told: list[int] = []

    def interrupt(events: int) -> None:
        told.append(events)
        if len(told) == 20:
            raise KeyboardInterrupt

    with closing(open_repository(tmp_path)) as repository:
        repository.progress = interrupt
        with pytest.raises(KeyboardInterrupt):
            query.list_aggregates(repository.domain())
    with closing(open_repository(tmp_path)) as repository:
        assert repository.domain().index().head().seq > 10
        assert len(agrees(repository.domain()).commits) == 30
