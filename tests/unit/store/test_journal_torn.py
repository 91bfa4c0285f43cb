"""What a power cut leaves of a write that was not synced is no damage: journal, staging file, reflog."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats import staging
from dbx.formats.envelope import Actor
from dbx.formats.reflog import ReflogEntry
from dbx.store.fs import PAGE, Directory
from dbx.store.journal import Journal
from dbx.store.reflog import Reflog
from dbx.store.section import Section
from dbx.store.staging import NAME, find_header, read_events, sealed_size

UUID = "00112233-4455-4677-8899-aabbccddeeff"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How large a file was each time its data were synced."""
    seen: list[int] = []

    monkeypatch.setattr(os, "fdatasync", lambda fd: seen.append(os.fstat(fd).st_size))
    return seen


@pytest.mark.parametrize(
    ("at", "events", "steps"),
    [
        (100, 500, [700]),
        (100, PAGE - 200, [PAGE]),
        # The commit begins on the next page, though every event ends on this one.
        (100, PAGE - 100, [PAGE, PAGE + 100]),
        (100, PAGE, [PAGE + 100, PAGE + 200]),
        (PAGE, 50, [PAGE + 150]),
    ],
)
def test_an_append_has_its_events_on_disk_before_its_commit(
    tmp_path: Path, synced: list[int], at: int, events: int, steps: list[int]
) -> None:
    (tmp_path / "journal-0").write_bytes(bytes(at))
    journal = Journal(Directory(str(tmp_path)), "journal-0", at)
    journal.append(b"e" * events, b"c" * 100)
    journal.close()
    assert synced == steps


def _stage(path: Path, count: int, size: int, at: int = 0) -> int:
    header = b"" if at else staging.encode_header(UUID, UUID)
    section = Section(Directory(str(path)), header=header, at=at)
    section.add([b'{"n":%d}' % n for n in range(count)], [b'{"payload":"%b"}' % (b"x" * size)] * count)
    return section.finish()


def test_a_section_has_its_lines_on_disk_before_its_seal(tmp_path: Path, synced: list[int]) -> None:
    end = _stage(tmp_path, 1, 10)
    synced.clear()
    small = _stage(tmp_path, 1, 10, at=end)
    assert synced == [small]
    synced.clear()
    large = _stage(tmp_path, 3, PAGE, at=small)
    seal = (tmp_path / NAME).read_bytes().splitlines(keepends=True)[-1]
    assert synced == [large - len(seal), large]


def test_what_follows_the_last_seal_may_be_a_very_long_hole(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    end = _stage(tmp_path, 2, 10)
    with open(tmp_path / NAME, "ab") as file:
        file.write(bytes(2 * staging.MAX_LINE_BYTES + 5) + b'"}}\n')
    assert sealed_size(directory) == end
    assert sum(map(len, read_events(directory, end))) == 2
    assert find_header(directory) is not None
    # The next section takes its place.
    later = _stage(tmp_path, 1, 10, at=end)
    assert sealed_size(directory) == later == (tmp_path / NAME).stat().st_size


def test_a_hole_before_a_seal_is_damage(tmp_path: Path) -> None:
    end = _stage(tmp_path, 2, 10)
    data = (tmp_path / NAME).read_bytes()
    lines = data.splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(lines[0] + bytes(2 * staging.MAX_LINE_BYTES) + b"".join(lines[1:]))
    assert end == len(data)
    with pytest.raises(Corrupt, match="seal"):
        sealed_size(Directory(str(tmp_path)))


def test_reflog_entries_with_a_hole_are_lost_and_nothing_else(tmp_path: Path) -> None:
    log = Reflog(Directory(str(tmp_path)), "refs/heads/main")
    entries = [
        ReflogEntry(None, f"{n:064x}", n, "2026-11-23T07:42:00.123456Z", Actor("ops", "jane"), "commit")
        for n in range(1, 5)
    ]
    log.append(entries[:3])
    path = tmp_path / "logs/refs/heads/main"
    data = path.read_bytes()
    size = len(data) // 3
    path.write_bytes(data[: size + 20] + bytes(size) + data[2 * size + 20 :])
    assert log.read() == entries[:1]
    assert log.last() == entries[0]
    log.append(entries[3:])
    assert log.last() == entries[3]
    assert log.read() == [entries[0], entries[3]]
    log.close()
