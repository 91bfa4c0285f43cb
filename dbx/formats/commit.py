"""A commit: one line of canonical JSON (format.md §5).

    {"actor":{"group":"ops","user":"jane"},"batch":null,"count":2,"domain":"<uuid>","events":"<hash>","index":"<hash>",
     "message":"import","parent":null,"position":0,"schema":null,"seq":0,"time":"2026-11-23T07:42:00.123456Z","v":1}

Its id is the RFC 9162 leaf hash of the line: SHA-256 of a zero byte and the line, without newline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import (
    HASH,
    INTEGER,
    MAX_ACTOR_CHARS,
    MAX_INTEGER,
    STRING,
    TIME,
    UUID,
    escape,
    foreign_line,
    is_actor_text,
    is_day,
    is_text,
    unescape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_COMMIT_BYTES = 65_535
"""A tlog-tiles entry is no longer."""
MAX_MESSAGE_BYTES = 32 * 1024

_MEMBERS = frozenset(
    "actor batch count domain events index message parent position schema seq time v".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class CommitActor:
    """Who committed: group, user and, when a token was used, the token's id; 1 to 128 characters each."""

    group: str
    user: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. Hashes and uuids are lowercase hex; `position` and `seq` count from 0, `count` from 1."""

    actor: CommitActor | None
    batch: str | None
    count: int
    domain: str
    events: str
    index: str
    message: str | None
    parent: str | None
    position: int
    schema: str | None
    seq: int
    time: str


def encode_commit(commit: Commit) -> bytes:
    """The commit's line, without newline. Hashes, uuids, numbers and the time go in as they are.

    Raises Invalid when the message or the line is too long, or a text is not fit to be stored.
    """
    c = commit
    actor = "null" if c.actor is None else _actor_text(c.actor)
    batch = "null" if c.batch is None else f'"{c.batch}"'
    message = "null" if c.message is None else message_text(c.message)
    parent = "null" if c.parent is None else f'"{c.parent}"'
    schema = "null" if c.schema is None else f'"{c.schema}"'
    line = (
        f'{{"actor":{actor},"batch":{batch},"count":{c.count},"domain":"{c.domain}","events":"{c.events}",'
        f'"index":"{c.index}","message":{message},"parent":{parent},"position":{c.position},"schema":{schema},'
        f'"seq":{c.seq},"time":"{c.time}","v":1}}'
    ).encode()
    if len(line) > MAX_COMMIT_BYTES:
        raise Invalid(
            f"the commit is {len(line)} bytes long, more than {MAX_COMMIT_BYTES}", hint="write a shorter message"
        )
    return line


def decode_commit(line: bytes) -> Commit:
    """The commit of a stored line. Raises Corrupt unless the line is the one spelling of a valid commit."""
    if len(line) > MAX_COMMIT_BYTES:
        raise Corrupt(f"a commit is {len(line)} bytes long, more than {MAX_COMMIT_BYTES}")
    try:
        found = _pattern()(line.decode())
    except UnicodeDecodeError as error:
        raise Corrupt("a commit is not UTF-8") from error
    if found is None:
        raise foreign_line(line, "a commit", _MEMBERS)
    group, token, user, batch, count, domain, events, index, message, parent, position, schema, seq, time = (
        found.groups()
    )
    actor = None
    if group is not None:
        actor = CommitActor(unescape(group), unescape(user), None if token is None else unescape(token))
    commit = Commit(
        actor,
        batch,
        int(count),
        domain,
        events,
        index,
        None if message is None else unescape(message),
        parent,
        int(position),
        schema,
        int(seq),
        time,
    )
    _check(commit)
    return commit


def time_of(line: bytes) -> str:
    """The time in a stored commit's line, without decoding the rest: it stands at a fixed place before the end.

    Raises Corrupt where it does not.
    """
    if line[-43:-35] != b'"time":"' or line[-8:] != b'","v":1}':
        raise Corrupt("a commit is not spelled as dbx writes it")
    return line[-35:-8].decode("ascii", "replace")


@cache
def _pattern() -> Callable[[str], re.Match[str] | None]:
    # Compiled when the first commit is read: many commands read none.
    return re.compile(
        rf'\{{"actor":(?:null|\{{"group":({STRING})(?:,"token":({STRING}))?,"user":({STRING})\}})'
        rf',"batch":(?:null|"({UUID})"),"count":([1-9][0-9]{{0,15}}),"domain":"({UUID})"'
        rf',"events":"({HASH})","index":"({HASH})","message":(?:null|({STRING})),"parent":(?:null|"({HASH})")'
        rf',"position":({INTEGER}),"schema":(?:null|"({HASH})"),"seq":({INTEGER}),"time":"({TIME})","v":1\}}'
    ).fullmatch


def _check(commit: Commit) -> None:
    """What the pattern cannot say."""
    if commit.actor is not None and not _is_actor(commit.actor):
        raise Corrupt("a commit's actor has an empty or overlong name, or one with control characters")
    if commit.message is not None and _utf8_length(commit.message) > MAX_MESSAGE_BYTES:
        raise Corrupt(f"a commit's message is longer than {MAX_MESSAGE_BYTES} bytes")
    if not is_day(commit.time) or commit.position + commit.count > MAX_INTEGER:
        raise Corrupt("a commit holds a date or a number that cannot be")
    check_place(commit.parent, commit.position, commit.seq, "a commit")


def check_place(parent: str | None, position: int, seq: int, what: str) -> None:
    """A place in the log is possible: only seq 0 has no parent, it begins at position 0, and no commit is empty."""
    if (parent is None) != (seq == 0) or (seq == 0 and position) or not seq <= position <= MAX_INTEGER:
        raise Corrupt(f"{what} has a parent, a position and a seq that do not go together")


def _is_actor(actor: CommitActor) -> bool:
    return (
        is_actor_text(actor.group) and is_actor_text(actor.user) and (actor.token is None or is_actor_text(actor.token))
    )


@lru_cache(maxsize=64)
def _actor_text(actor: CommitActor) -> str:
    if not _is_actor(actor):
        raise Invalid(
            f"an actor's group, user and token id must have 1 to {MAX_ACTOR_CHARS} characters and no control characters"
        )
    token = "" if actor.token is None else f'"token":{escape(actor.token)},'
    return f'{{"group":{escape(actor.group)},{token}"user":{escape(actor.user)}}}'


def message_text(message: str) -> str:
    """The JSON string of a commit's message. Raises Invalid when it is too long or not fit to be stored."""
    if not is_text(message):
        raise Invalid("the commit message has a surrogate or noncharacter")
    if _utf8_length(message) > MAX_MESSAGE_BYTES:
        raise Invalid(f"the commit message is longer than {MAX_MESSAGE_BYTES} bytes", hint="write a shorter message")
    return escape(message)


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
