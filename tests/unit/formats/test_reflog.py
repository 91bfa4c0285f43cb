"""The reflog: who moved a ref, from where to where, and why."""

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import MAX_INTEGER, Actor
from dbx.formats.reflog import ReflogEntry, decode_entry, decode_reflog, encode_entry

OLD, NEW, TIME = "0a" * 32, "0b" * 32, "2026-11-23T07:42:00.123456Z"
ENTRY = ReflogEntry(OLD, NEW, 512, TIME, Actor("ops", "jane"), "commit: import")
LINE = f"{OLD} {NEW} 512 {TIME} ops:jane commit: import\n".encode()


def test_entry_has_the_spelling_of_the_format_page() -> None:
    assert encode_entry(ENTRY) == LINE
    assert decode_entry(LINE) == ENTRY


def test_zeros_stand_for_no_commit() -> None:
    first = ENTRY._replace(old=None, seq=0)
    assert encode_entry(first).startswith(b"0" * 64 + b" ")
    assert decode_entry(encode_entry(first)) == first
    gone = ENTRY._replace(new=None, seq=0)
    assert decode_entry(encode_entry(gone)) == gone


@pytest.mark.parametrize("name", ["a b", "a:b", "100%", "%20", "%3A", "%2520", " :%", "Jürgen", "a\u00a0b"])
def test_names_do_not_run_into_their_neighbours(name: str) -> None:
    for actor in (Actor(name, "u"), Actor("g", name), Actor(name, name)):
        entry = ENTRY._replace(actor=actor)
        assert len(encode_entry(entry).split(b" ")) == 7
        assert decode_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize("reason", ["", "a\nb", "a\x00", "\x1b[31m", "\x7f", "\x9b", "\ud800", "x" * 1025])
def test_reason_is_one_plain_line(reason: str) -> None:
    with pytest.raises(Invalid):
        encode_entry(ENTRY._replace(reason=reason))
    with pytest.raises(Corrupt):
        decode_entry(LINE.replace(b"commit: import", reason.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("name", ["", "a\n", "\x85", "x" * 129])
def test_unfit_actor_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        encode_entry(ENTRY._replace(actor=Actor(name, "u")))
    with pytest.raises(Corrupt):
        decode_entry(LINE.replace(b"jane", name.encode()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("512", "0512"),
        ("512", str(MAX_INTEGER + 1)),
        ("2026-11-23", "2026-11-31"),
        (OLD, OLD.upper()),
        (OLD, ""),
        ("ops:jane", "ops"),
        ("ops:jane", "ops:jane:x"),
        ("jane", "%4Aane"),
        ("jane", "%3ajane"),
        ("jane", "j%"),
        ("\n", ""),
        ("\n", "\n\n"),
    ],
)
def test_any_other_spelling_is_refused(old: str, new: str) -> None:
    text = LINE.decode()
    assert old in text
    with pytest.raises(Corrupt):
        decode_entry(text.replace(old, new).encode())


def test_log_is_read_oldest_first_and_to_the_last_byte() -> None:
    later = ENTRY._replace(old=NEW, new=OLD, seq=513)
    log = LINE + encode_entry(later)
    assert decode_reflog(b"") == []
    assert decode_reflog(log) == [ENTRY, later]
    for broken in (log[:-1], log + b"x", b"\n" + log, LINE + b"\n" + LINE, LINE.replace(b"\n", b"\r") + LINE):
        with pytest.raises(Corrupt):
            decode_reflog(broken)
