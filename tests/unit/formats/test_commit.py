"""Commits: the line of format.md §5, its limits, and what a stranger may not slip in."""

import json
from dataclasses import replace

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.formats.commit import (
    MAX_COMMIT_BYTES,
    MAX_MESSAGE_BYTES,
    Commit,
    CommitActor,
    decode_commit,
    encode_commit,
    time_of,
)
from dbx.formats.envelope import MAX_INTEGER

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
FULL = Commit(
    actor=CommitActor("ops", "jane", "t-1"),
    batch=UUID,
    count=2,
    domain=UUID,
    events="0a" * 32,
    index="0b" * 32,
    message="import of\nyesterday",
    parent="0c" * 32,
    position=1040,
    schema="0d" * 32,
    seq=512,
    time="2026-11-23T07:42:00.123456Z",
)
BARE = replace(FULL, actor=None, batch=None, message=None, parent=None, position=0, schema=None, seq=0)


@pytest.mark.parametrize("commit", [FULL, BARE, replace(FULL, actor=CommitActor("o", "j")), replace(FULL, message="")])
def test_commit_is_canonical_json_and_comes_back(commit: Commit) -> None:
    line = encode_commit(commit)
    assert canonical.encode(json.loads(line)) == line
    assert decode_commit(line) == commit


def test_commit_has_the_members_of_the_format_page() -> None:
    assert json.loads(encode_commit(FULL)) == {
        "actor": {"group": "ops", "user": "jane", "token": "t-1"},
        "batch": UUID,
        "count": 2,
        "domain": UUID,
        "events": "0a" * 32,
        "index": "0b" * 32,
        "message": "import of\nyesterday",
        "parent": "0c" * 32,
        "position": 1040,
        "schema": "0d" * 32,
        "seq": 512,
        "time": "2026-11-23T07:42:00.123456Z",
        "v": 1,
    }


@pytest.mark.parametrize("message", ['"', "\\", "\x00\x1f\x7f\t", "Grüße 😀 \ue000", "x" * MAX_MESSAGE_BYTES])
def test_any_text_can_be_a_message(message: str) -> None:
    commit = replace(FULL, message=message)
    line = encode_commit(commit)
    assert canonical.encode(json.loads(line)) == line
    assert decode_commit(line) == commit


@pytest.mark.parametrize("message", ["x" * (MAX_MESSAGE_BYTES + 1), "é" * (MAX_MESSAGE_BYTES // 2 + 1)])
def test_overlong_message_is_refused(message: str) -> None:
    with pytest.raises(Invalid, match="longer than"):
        encode_commit(replace(FULL, message=message))
    line = encode_commit(replace(FULL, message="MSG")).replace(b"MSG", message.encode())
    with pytest.raises(Corrupt, match="longer than"):
        decode_commit(line)


def test_message_that_escapes_to_more_than_a_log_entry_is_refused() -> None:
    with pytest.raises(Invalid, match="bytes long"):
        encode_commit(replace(FULL, message="\x01" * 11_000))
    with pytest.raises(Corrupt, match="bytes long"):
        decode_commit(b" " * (MAX_COMMIT_BYTES + 1))


@pytest.mark.parametrize("text", ["\ud800", "a\ufdd0\n", "\U0001ffff"])
def test_message_that_json_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        encode_commit(replace(FULL, message=text))
    template = encode_commit(replace(FULL, message="MSG"))
    for spelled in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        with pytest.raises(Corrupt):
            decode_commit(template.replace(b'"MSG"', spelled.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    "actor",
    [CommitActor("", "u"), CommitActor("g", "u\n"), CommitActor("g", "u", ""), CommitActor("g", "u" * 129)],
)
def test_unfit_actor_is_refused(actor: CommitActor) -> None:
    with pytest.raises(Invalid):
        encode_commit(replace(FULL, actor=actor))
    members = {"group": actor.group, "user": actor.user} | ({} if actor.token is None else {"token": actor.token})
    line = encode_commit(replace(FULL, actor=None)).replace(b"null", canonical.encode(members), 1)
    with pytest.raises(Corrupt):
        decode_commit(line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"count":2', '"count":0'),
        ('"count":2', '"count":02'),
        ('"count":2', '"count":2e0'),
        ('"count":2', f'"count":{MAX_INTEGER}'),
        ('"position":1040', '"position":-1'),
        ('"position":1040', '"position":511'),
        ('"position":1040', f'"position":{MAX_INTEGER}'),
        ('"seq":512', '"seq":0'),
        ('"seq":512', '"seq":true'),
        ('"' + "0c" * 32 + '"', "null"),
        ('"' + "0d" * 32 + '"', '""'),
        ("0a" * 32, "0A" * 32),
        ("0b" * 32, "0b" * 31),
        (UUID, UUID.upper()),
        (UUID, UUID.replace("-", "")),
        (f'"domain":"{UUID}"', '"domain":null'),
        ("2026-11-23", "2026-11-31"),
        ("07:42:00", "07:42:60"),
        ('"token":"t-1"', '"token":null'),
        ('"group":"ops","token":"t-1","user":"jane"', '"group":"ops","user":"jane","token":"t-1"'),
        ('"message":"import of\\nyesterday"', '"message":"import of\\u000ayesterday"'),
        ('"message":"import of\\nyesterday"', '"message":"import of\nyesterday"'),
        ('"message":"import of\\nyesterday"', '"message":1'),
        ('"v":1}', '"v":1,"v":1}'),
        ('"v":1}', '"v":1}\n'),
        ('"v":1}', '"v": 1}'),
    ],
)
def test_any_other_spelling_is_refused(old: str, new: str) -> None:
    line = encode_commit(FULL)
    assert old.encode() in line
    with pytest.raises(Corrupt):
        decode_commit(line.replace(old.encode(), new.encode()))


@pytest.mark.parametrize("end", ['"v":2}', '"v":1,"witness":"x"}'])
def test_newer_commit_is_told_as_such(end: str) -> None:
    with pytest.raises(Corrupt, match="newer dbx"):
        decode_commit(encode_commit(FULL).replace(b'"v":1}', end.encode()))


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b"[" * 60_000])
def test_what_is_no_commit_is_refused(line: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_commit(line)


@pytest.mark.parametrize(("parent", "position", "seq"), [(None, 0, 1), ("0c" * 32, 0, 0), (None, 5, 0)])
def test_places_that_cannot_be_are_refused(parent: str | None, position: int, seq: int) -> None:
    with pytest.raises(Corrupt):
        decode_commit(encode_commit(replace(FULL, parent=parent, position=position, seq=seq)))


def test_the_time_is_found_without_decoding_the_rest() -> None:
    tricky = replace(FULL, message='"time":"2020-01-01T00:00:00.000000Z","v":1}')
    for commit in (FULL, BARE, tricky):
        assert time_of(encode_commit(commit)) == commit.time
    for line in (b"", b"{}", encode_commit(FULL)[:-1], encode_commit(FULL).replace(b'"time"', b'"tame"')):
        with pytest.raises(Corrupt):
            time_of(line)
