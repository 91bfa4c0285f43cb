"""The events of one block: every rule that an envelope and a body keep by themselves.

`BlockReader` takes whole blocks that are as they should be in a few passes over lists, and answers None for any other;
then `read_slowly` goes event by event and says what is wrong. Both judge by the same rules (formats.envelope).
"""

from __future__ import annotations

import re
from hashlib import sha256
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_EVENT_ID,
    MAX_INTEGER,
    MAX_METADATA_BYTES,
    TIME,
    Envelope,
    decode_body,
    decode_envelope,
    is_day,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = ""
"""The name of an aggregate whose envelope cannot be read."""

_REMEMBERED = 200_000
_SHORT = 48 * 1024
"""A body line this short keeps every limit on its parts; an envelope whose issuer is this short keeps its own."""
_BETWEEN = '","aggregate_type":"'
# Every noncharacter holds one of these in UTF-8: the last two of each plane, and U+FDD0 to U+FDEF.
_NONCHARACTER_MARKS = (b"\xbf\xbe", b"\xbf\xbf", b"\xef\xb7")
_NAME = rf"[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{{0,127}}{_BETWEEN}[a-z][a-z0-9_]{{0,63}}".encode()


class Fault(NamedTuple):
    """What is wrong with the event in one row of a block; row -1 is the block itself."""

    row: int
    code: str
    message: str
    what: dict[str, int | str]


class Columns(NamedTuple):
    """The events of a block, column by column. A name is `id","aggregate_type":"type`, as it stands in the envelope.

    `bodies` are the lines of the bodies, None for one that is erased, damaged or sealed; each has the hash that its
    envelope names, and where `read_slowly` gives them, also the right form; `raw` is all of them in one piece, as they
    were read. `empty` are the rows whose body is empty, `unread` those whose body is damaged or sealed.
    """

    names: Sequence[str]
    times: Sequence[str]
    kinds: Sequence[str]
    ids: Sequence[int]
    versions: Sequence[int]
    leaves: bytes
    bodies: Sequence[bytes | None]
    raw: bytes
    empty: Sequence[int]
    unread: Sequence[int]
    faults: Sequence[Fault]


def join_name(aggregate_type: str, aggregate_id: str) -> str:
    """The name of an aggregate."""
    return f"{aggregate_id}{_BETWEEN}{aggregate_type}"


def split_name(name: str) -> tuple[str, str]:
    """(type, id) of a name."""
    aggregate_id, _, aggregate_type = name.partition(_BETWEEN)
    return aggregate_type, aggregate_id


def event_of(envelope: Envelope) -> dict[str, int | str]:
    """How a finding names an event."""
    return {
        "aggregate_type": envelope.aggregate_type,
        "aggregate_id": envelope.aggregate_id,
        "version": envelope.version,
        "event_id": str(envelope.event_id),
    }


class BlockReader:
    """Reads blocks, and remembers which names, dates and issuers it has found to be right."""

    def __init__(self) -> None:
        # Without a blank between two matches, they are all there is. Every group is looked at closer, or compared with
        # what must stand there; so the pattern may be loose where that makes it faster. A time must have the length of
        # one: many are looked at together, line by line, and none may stand for two of the lines.
        self._split = re.compile(
            rb'(\{"aggregate_id":"([^"]*","aggregate_type":"[^"]*)","body":"([^"]{64})","created_at":"([^"]{27})"'
            rb',"event_id":"([1-9][0-9]*)","event_type":"([^"]*)"((?:,"issued_by":[^}]*\})?)'
            rb',"version":([1-9][0-9]*)\})\n'
        ).split
        self._is_name = re.compile(_NAME).fullmatch
        self._is_kind = re.compile(b"[a-z][a-z0-9_]{0,127}").fullmatch
        self._are_times = re.compile(rf"(?:{TIME}\n)*".encode()).fullmatch
        self._names: dict[bytes, str] = {}
        self._kinds: dict[bytes, str] = {}
        self._days: set[str] = set()
        self._issuers: set[bytes] = {b""}

    def read(self, envelopes: bytes, bodies: bytes) -> Columns | None:
        """A block whose envelopes are right, and whose bodies have their hashes; None for others.

        The bodies are short, and UTF-8 without noncharacters; whether they are canonical JSON is left to `Shapes`.
        """
        if not _is_text(bodies):
            return None
        # What is between the matches, and their groups, in turn. One list is made faster than a tuple for each row.
        found = self._split(envelopes)
        if any(found[::9]):
            return None
        lines, hashes, body_lines = found[1::9], found[3::9], bodies.split(b"\n")
        if body_lines.pop() or not 0 < len(lines) == len(body_lines):
            return None
        if b"".join([sha256(line).digest() for line in body_lines]).hex().encode() != b"".join(hashes):
            return None
        try:
            ids, versions = list(map(int, found[5::9])), list(map(int, found[8::9]))
        except ValueError:
            return None  # too many digits to be looked at
        names, kinds = self._find_names(found[2::9]), self._find_kinds(found[6::9])
        times = self._read_times(found[4::9])
        if (
            names is None
            or times is None
            or kinds is None
            or max(ids) > MAX_EVENT_ID
            or max(versions) > MAX_INTEGER
            or max(map(len, body_lines)) > _SHORT
            or not self._are_issuers(lines, found[7::9])
        ):
            return None
        leaves = b"".join([sha256(b"\0" + line).digest() for line in lines])
        return Columns(names, times, kinds, ids, versions, leaves, body_lines, bodies, (), (), ())

    def _find_names(self, raw: list[bytes]) -> list[str] | None:
        """The texts of names, each looked at once. None where one is not right."""
        known = self._names
        try:
            return [known[name] for name in raw]
        except KeyError:
            if len(known) > _REMEMBERED:
                known.clear()
            for name in raw:
                if name not in known:
                    if not self._is_name(name):
                        return None
                    known[name] = name.decode()
        return [known[name] for name in raw]

    def _find_kinds(self, raw: list[bytes]) -> list[str] | None:
        known = self._kinds
        try:
            return [known[kind] for kind in raw]
        except KeyError:
            for kind in set(raw) - known.keys():
                if not self._is_kind(kind):
                    return None
                known[kind] = intern(kind.decode())
        return [known[kind] for kind in raw]

    def _read_times(self, raw: list[bytes]) -> Sequence[str] | None:
        count = len(raw)
        if raw.count(raw[0]) == count:
            raw = raw[:1]  # one text instead of many: they are kept for each aggregate
        text = b"\n".join([*raw, b""])
        if not self._are_times(text):
            return None
        times = text.decode().split("\n")
        times.pop()
        days = {time[:10] for time in times}
        if not days <= self._days:
            if not all(map(is_day, days)):
                return None
            self._days |= days
        return times if len(times) == count else times * count

    def _are_issuers(self, lines: list[bytes], issuers: list[bytes]) -> bool:
        found = set(issuers[:1]) if issuers.count(issuers[0]) == len(issuers) else set(issuers)
        for issuer in found - self._issuers:
            if len(issuer) > _SHORT:
                return False
            try:
                decode_envelope(lines[issuers.index(issuer)])
            except Corrupt:
                return False
            self._issuers.add(issuer)
        return True


def _is_text(bodies: bytes) -> bool:
    """Whether bytes are UTF-8 without noncharacters."""
    if bodies.isascii():
        return True
    try:
        bodies.decode()
    except UnicodeDecodeError:
        return False
    # Looking for one byte is fifty times as fast as looking for two.
    return not ((b"\xbf" in bodies or b"\xef" in bodies) and any(mark in bodies for mark in _NONCHARACTER_MARKS))


def read_slowly(envelopes: bytes, bodies: bytes | None) -> Columns:
    """Any block, event by event. `bodies` is None where they are sealed or lost."""
    lines = _lines(envelopes)
    faults: list[Fault] = []
    for raw in (envelopes, bodies):
        if raw is not None and not raw.endswith(b"\n"):
            faults.append(Fault(-1, "block", "a frame's last line has no newline", {}))
    body_lines: list[bytes] | None = None if bodies is None else _lines(bodies)
    if body_lines is not None and len(body_lines) != len(lines):
        faults.append(Fault(-1, "block", f"{len(lines)} envelopes have {len(body_lines)} bodies", {}))
        body_lines = None
    names, times, kinds = [UNKNOWN] * len(lines), [""] * len(lines), [""] * len(lines)
    ids, versions = [0] * len(lines), [0] * len(lines)
    values: list[bytes | None] = [None] * len(lines)
    empty: list[int] = []
    unread: list[int] = [] if body_lines is not None else list(range(len(lines)))
    for row, line in enumerate(lines):
        body = None if body_lines is None else body_lines[row]
        try:
            envelope = decode_envelope(line)
        except Corrupt as error:
            faults.append(Fault(row, "event.envelope", f"the envelope of an event is damaged: {error.message}", {}))
            continue
        names[row] = f"{envelope.aggregate_id}{_BETWEEN}{envelope.aggregate_type}"
        times[row], kinds[row] = envelope.created_at, envelope.event_type
        ids[row], versions[row] = envelope.event_id, envelope.version
        if body is None:
            continue
        if not body:
            empty.append(row)
            continue
        fault = _body_fault(envelope, body)
        if fault is None:
            values[row] = body
        else:
            unread.append(row)
            faults.append(Fault(row, "event.body", fault, event_of(envelope)))
    leaves = b"".join([sha256(b"\0" + line).digest() for line in lines])
    return Columns(names, times, kinds, ids, versions, leaves, values, bodies or b"", empty, unread, faults)


def find_damaged_bodies(envelopes: bytes, bodies: bytes) -> list[Fault]:
    """Which bodies of a frame with a bad checksum are not those their envelopes name; all that can be told apart."""
    lines, body_lines = _lines(envelopes), _lines(bodies)
    if len(lines) != len(body_lines):
        return []
    faults: list[Fault] = []
    for row, (line, body) in enumerate(zip(lines, body_lines, strict=True)):
        try:
            envelope = decode_envelope(line)
        except Corrupt:
            continue
        if body and sha256(body).hexdigest() != envelope.body:
            faults.append(Fault(row, "event.body", f"the body of {describe(envelope)} is damaged", event_of(envelope)))
    return faults


def describe(envelope: Envelope) -> str:
    """An event in words."""
    return (
        f"event '{envelope.event_id}' (version {envelope.version} of"
        f" '{envelope.aggregate_type}/{envelope.aggregate_id}')"
    )


def _lines(raw: bytes) -> list[bytes]:
    lines = raw.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _body_fault(envelope: Envelope, line: bytes) -> str | None:
    if sha256(line).hexdigest() != envelope.body:
        return f"the body of {describe(envelope)} is not the one its envelope names"
    try:
        decode_body(line)
    except Corrupt as error:
        return f"the body of {describe(envelope)} is damaged: {error.message}"
    return None


assert _SHORT < MAX_METADATA_BYTES  # noqa: S101 - the limit on payloads is larger still
assert _SHORT + 1024 < MAX_ENVELOPE_BYTES  # noqa: S101 - all its other members together are shorter than that
