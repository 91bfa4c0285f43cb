"""The journal: appends, torn tails at every byte, damage in the middle, and preallocation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.fs import Directory
from dbx.store.journal import Journal, Tail, journal_name, scan, sound_end
from dbx.store.segments import Commits, FrameReader

DOMAIN = "01234567-89ab-4def-8123-456789abcdef"
NAME = "journal-0-0000000000000000"


def frames(at: int, n: int) -> tuple[bytes, bytes]:
    """An E and a B frame, and a C frame."""
    events = b""
    for kind in (segment.E, segment.B):
        events += segment.encode_frame(kind, b"%b line %d\n" % (kind, n), at + len(events), compress=n % 2 == 0)
    return events, segment.encode_frame(segment.C, b"commit %d\n" % n, at + len(events), compress=False)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.create(Directory(str(tmp_path)), NAME, segment.encode_header_frame(DOMAIN, None, 0, 0))
    yield made
    made.close()


def tail(path: Path) -> Tail:
    fd = os.open(path, os.O_RDONLY)
    try:
        reader = FrameReader(fd, NAME)
        start = reader.header()[1]
        found = scan(reader, start)
        sound = sound_end(path.read_bytes(), start)
        assert sound in (None, found.end)
        assert (sound is None) == found.torn
        return found
    finally:
        os.close(fd)


def commits(found: Tail) -> list[bytes]:
    return [line for item in found.items if isinstance(item, Commits) for line in item.lines]


def test_names() -> None:
    assert journal_name(0, None) == NAME
    assert journal_name(12, "ab" * 32) == "journal-12-abababababababab"


def test_what_is_appended_is_found(tmp_path: Path, journal: Journal) -> None:
    for n in range(30):
        journal.append(*frames(journal.end, n))
        assert journal.untouched()
        found = tail(tmp_path / NAME)
        assert commits(found) == [b"commit %d" % at for at in range(n + 1)]
        assert (found.end, found.torn) == (journal.end, False)
    assert journal.size > journal.end  # zeros lie ahead by now
    assert journal.torn_bytes().strip(b"\0") == b""


def test_a_tail_torn_at_every_byte_counts_for_nothing(tmp_path: Path, journal: Journal) -> None:
    journal.append(*frames(journal.end, 0))
    before = journal.end
    journal.append(*frames(journal.end, 1))
    whole = (tmp_path / NAME).read_bytes()
    for size in range(before, len(whole)):
        for zeros in (0, 300):
            (tmp_path / NAME).write_bytes(whole[:size] + bytes(zeros))
            found = tail(tmp_path / NAME)
            assert (commits(found), found.end) == ([b"commit 0"], before)
            assert found.torn == (size > before)


def test_any_flipped_bit_of_the_last_commit_is_a_torn_write(tmp_path: Path, journal: Journal) -> None:
    journal.append(*frames(journal.end, 0))
    before = journal.end
    journal.append(*frames(journal.end, 1))
    whole = (tmp_path / NAME).read_bytes()
    for at in range(before, len(whole)):
        # A bad E or B frame with the whole C frame behind it is damage; a bad C frame is what a power cut leaves.
        data = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        (tmp_path / NAME).write_bytes(data)
        behind = segment.find_commit_frame(data, before) is not None
        if behind:
            with pytest.raises(Corrupt, match=f"'{NAME}' is damaged at byte"):
                tail(tmp_path / NAME)
        else:
            found = tail(tmp_path / NAME)
            assert (commits(found), found.torn) == ([b"commit 0"], True)


def test_damage_in_the_middle_is_told_with_its_place(tmp_path: Path, journal: Journal) -> None:
    ends = [journal.end]
    for n in range(4):
        journal.append(*frames(journal.end, n))
        ends.append(journal.end)
    whole = (tmp_path / NAME).read_bytes()
    for at in range(ends[1], ends[3], 7):
        (tmp_path / NAME).write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        with pytest.raises(Corrupt) as caught:
            tail(tmp_path / NAME)
        assert caught.value.details["file"] == NAME
        assert ends[1] <= caught.value.details["offset"] <= at
    (tmp_path / NAME).write_bytes(whole[: ends[1]] + bytes(ends[2] - ends[1]) + whole[ends[2] :])
    with pytest.raises(Corrupt):
        tail(tmp_path / NAME)


def test_a_kind_of_a_newer_dbx_is_no_torn_write(tmp_path: Path, journal: Journal) -> None:
    journal.append(*frames(journal.end, 0))
    with (tmp_path / NAME).open("ab") as file:
        file.write(segment.encode_stored_frame(b"X", 0, 3, b"new", journal.end))
    with pytest.raises(Corrupt, match="newer dbx"):
        tail(tmp_path / NAME)


def test_events_without_their_commit_count_for_nothing(tmp_path: Path, journal: Journal) -> None:
    journal.append(*frames(journal.end, 0))
    with (tmp_path / NAME).open("ab") as file:
        file.write(frames(journal.end, 1)[0])
    found = tail(tmp_path / NAME)
    assert (commits(found), found.end, found.torn) == ([b"commit 0"], journal.end, True)
    assert not journal.untouched()
    journal.size = (tmp_path / NAME).stat().st_size
    assert journal.torn_bytes() == frames(journal.end, 1)[0]
    journal.cut()
    assert tail(tmp_path / NAME).torn is False


def test_a_failed_append_is_cut_off_and_closes_the_journal(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(*frames(journal.end, 0))
    before = (tmp_path / NAME).read_bytes()
    sync, calls = os.fdatasync, []

    def refuse(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(5, "input/output error")
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(OSError, match="input/output"):
        journal.append(*frames(journal.end, 1))
    assert (tmp_path / NAME).read_bytes() == before
    with pytest.raises(OSError):
        journal.untouched()


def test_a_journal_that_was_deleted_is_not_untouched(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / NAME).unlink()
    assert not journal.untouched()


def test_no_room_ahead_is_no_fault(tmp_path: Path, journal: Journal) -> None:
    import resource

    for n in range(8):
        journal.append(*frames(journal.end, n))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.end + 100_000, limits[1]))
    try:
        with pytest.raises(OSError):  # not a full disk but a limit: told
            journal.append(*frames(journal.end, 9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert commits(tail(tmp_path / NAME)) == [b"commit %d" % n for n in range(8)]


def test_whole_journals_are_read_the_same_with_and_without_the_short_cut(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        journal.append(*frames(journal.end, n))
    raw = b"\n".join([b"x" * 300] * 9) + b"\n"
    squeezed = segment.encode_frame(segment.E, raw, journal.end, compress=True)
    squeezed += segment.encode_frame(segment.B, raw, journal.end + len(squeezed), compress=True)
    commit = segment.encode_frame(segment.C, b"c\n" * 9, journal.end + len(squeezed), compress=True)
    journal.append(squeezed, commit)
    path = tmp_path / journal.name
    short = tail(path)
    monkeypatch.setattr("dbx.store.journal.SEAL_BYTES", -1)  # too large a journal for it, whatever its size
    assert tail(path) == short
    assert len(short.items) == 42
