"""Proof files: one canonical JSON document and a newline, with all that a verifier needs but the key (format.md §8).

    {"format":"dbx-proof/1","kind":"event",…,"sum":"<SHA-256 of this document without the member sum>"}

The sum tells a damaged file at once; it is no part of what is proven. Kinds, and their members beside these three:

    event        envelope, body (null when left out), own, current (null against an older checkpoint)
    aggregate    aggregate, current, events (null, or [[envelope, body or null], …])
    absent       aggregate, other (null in an empty domain), index, commit, log
    growth       first, second, path                        the commit log grew from one checkpoint to another
    history      aggregate, first, second, path, onward, current      an aggregate grew from one version to another

    own       {"at":i,"path":[…],"commit":…,"log":…}        place among the events of its own commit
    current   {"version":n,"root":…,"path":[…],"index":[[d,hash],…],"commit":…,"log":…}     place in the newest index;
              path (event only, else empty) leads from the event's leaf to the aggregate's root
    log       a C2SP tlog-proof of the commit, with its checkpoint, as text

Envelopes, bodies and commits are the stored lines, as text; hashes are 64 hex digits; paths go from the leaf up.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.envelope import HASH, MAX_INTEGER

FORMAT = "dbx-proof/1"
MAX_PROOF_BYTES = 1 << 28
"""An aggregate's proof may hold all of its events."""
_MAX_DEPTH = 8
_MAX_PATH = 256

if TYPE_CHECKING:
    from collections.abc import Callable

Step = tuple[int, bytes]


class Own(NamedTuple):
    """An event's place in its own commit: number `at` of the commit's events, and the commit's place in the log."""

    at: int
    path: tuple[bytes, ...]
    commit: str
    log: str


class Current(NamedTuple):
    """An aggregate's place in the index of a commit; `path` leads there from one of its events, if one is meant."""

    version: int
    root: bytes
    path: tuple[bytes, ...]
    steps: tuple[Step, ...]
    commit: str
    log: str


class EventProof(NamedTuple):
    """That an event was recorded, when and by whom; with `current`, that it still stands in the aggregate."""

    envelope: str
    body: str | None
    own: Own
    current: Current | None


class AggregateProof(NamedTuple):
    """That an aggregate is at a version with a root; with `events`, which these are: (envelope, body or None)."""

    aggregate: tuple[str, str]
    current: Current
    events: tuple[tuple[str, str | None], ...] | None


class AbsenceProof(NamedTuple):
    """That there is no such aggregate: its key leads to the leaf of another, (key, version, root)."""

    aggregate: tuple[str, str]
    other: tuple[bytes, int, bytes] | None
    steps: tuple[Step, ...]
    commit: str
    log: str


class GrowthProof(NamedTuple):
    """That the log at checkpoint `second`, a note, begins with that of `first`, a checkpoint's text or a note."""

    first: str
    second: str
    path: tuple[bytes, ...]


class HistoryProof(NamedTuple):
    """That an aggregate at (version, root) `second` begins with `first`; `onward` leads on to that in `current`."""

    aggregate: tuple[str, str]
    first: tuple[int, bytes]
    second: tuple[int, bytes]
    path: tuple[bytes, ...]
    onward: tuple[bytes, ...]
    current: Current


KINDS: dict[type, str] = {
    EventProof: "event",
    AggregateProof: "aggregate",
    AbsenceProof: "absent",
    GrowthProof: "growth",
    HistoryProof: "history",
}
Proof = EventProof | AggregateProof | AbsenceProof | GrowthProof | HistoryProof


def encode_proof(proof: Proof) -> bytes:
    """The bytes of a proof file."""
    document = {"format": FORMAT, **_write(proof)}
    document["sum"] = sha256(canonical.encode(document, what="proof")).hexdigest()
    return canonical.encode(document, what="proof") + b"\n"


def decode_proof(data: bytes) -> Proof:
    """A proof from its file. Raises Corrupt for everything that `encode_proof` does not write."""
    if len(data) > MAX_PROOF_BYTES:
        raise Corrupt("the proof is larger than 256 MiB")
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the proof", max_depth=_MAX_DEPTH)
    except Corrupt as error:
        raise _changed(error) from None
    if not isinstance(value, dict) or not isinstance(value.get("format"), str):
        raise Corrupt("this is not a proof")
    if value["format"] != FORMAT:
        newer = value["format"].startswith("dbx-proof/")
        what = "the proof was written by a newer dbx" if newer else "this is not a proof"
        raise Corrupt(what, hint="upgrade dbx" if newer else None)
    read = _READERS.get(str(value.get("kind")))
    if read is None:
        raise Corrupt("the proof is of a kind that this dbx does not know", hint="upgrade dbx")
    try:
        proof: Proof = read(value)
        if encode_proof(proof) != data:
            raise ValueError
    except Corrupt as error:
        raise _changed(error) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _changed(Corrupt("the proof was changed: it is not spelled as dbx writes it")) from None
    return proof


def _changed(error: Corrupt) -> Corrupt:
    """The same, with the reason code of a proof that is not as it was written."""
    return Corrupt(error.message, hint=error.hint, details={"reason": "changed", **error.details})


# -- writing -----------------------------------------------------------------------------------------------------------


def _write(proof: Proof) -> dict[str, Any]:
    if isinstance(proof, EventProof):
        current = None if proof.current is None else _write_current(proof.current)
        own = {"at": proof.own.at, "path": _hexes(proof.own.path), "commit": proof.own.commit, "log": proof.own.log}
        return {"kind": "event", "envelope": proof.envelope, "body": proof.body, "own": own, "current": current}
    if isinstance(proof, GrowthProof):
        return {"kind": "growth", "first": proof.first, "second": proof.second, "path": _hexes(proof.path)}
    named = {"aggregate": list(proof.aggregate)}
    if isinstance(proof, AggregateProof):
        events = None if proof.events is None else [list(event) for event in proof.events]
        return {**named, "kind": "aggregate", "current": _write_current(proof.current), "events": events}
    if isinstance(proof, AbsenceProof):
        other = None
        if proof.other is not None:
            key, version, root = proof.other
            other = {"key": key.hex(), "version": version, "root": root.hex()}
        index = _write_steps(proof.steps)
        return {**named, "kind": "absent", "other": other, "index": index, "commit": proof.commit, "log": proof.log}
    return {
        **named,
        "kind": "history",
        "first": {"version": proof.first[0], "root": proof.first[1].hex()},
        "second": {"version": proof.second[0], "root": proof.second[1].hex()},
        "path": _hexes(proof.path),
        "onward": _hexes(proof.onward),
        "current": _write_current(proof.current),
    }


def _write_current(current: Current) -> dict[str, Any]:
    return {
        "version": current.version,
        "root": current.root.hex(),
        "path": _hexes(current.path),
        "index": _write_steps(current.steps),
        "commit": current.commit,
        "log": current.log,
    }


def _write_steps(steps: tuple[Step, ...]) -> list[list[Any]]:
    return [[d, sibling.hex()] for d, sibling in steps]


def _hexes(hashes: tuple[bytes, ...]) -> list[str]:
    return [each.hex() for each in hashes]


# -- reading -----------------------------------------------------------------------------------------------------------
# These build values from what may be anything; a wrong shape raises one of the errors that decode_proof catches, and a
# member too many shows when the value is encoded again.


def _read_event(value: dict[str, Any]) -> EventProof:
    own = value["own"]
    place = Own(_number(own["at"]), _read_path(own["path"]), _text(own["commit"]), _text(own["log"]))
    current = None if value["current"] is None else _read_current(value["current"])
    return EventProof(_text(value["envelope"]), _text_or_none(value["body"]), place, current)


def _read_aggregate(value: dict[str, Any]) -> AggregateProof:
    events = value["events"]
    if events is not None:
        events = tuple((_text(envelope), _text_or_none(body)) for envelope, body in events)
    return AggregateProof(_read_name(value), _read_current(value["current"]), events)


def _read_absence(value: dict[str, Any]) -> AbsenceProof:
    other = value["other"]
    if other is not None:
        other = _hash(other["key"]), _number(other["version"]), _hash(other["root"])
    steps = _read_steps(value["index"])
    return AbsenceProof(_read_name(value), other, steps, _text(value["commit"]), _text(value["log"]))


def _read_growth(value: dict[str, Any]) -> GrowthProof:
    return GrowthProof(_text(value["first"]), _text(value["second"]), _read_path(value["path"]))


def _read_history(value: dict[str, Any]) -> HistoryProof:
    first, second = ((_number(one["version"]), _hash(one["root"])) for one in (value["first"], value["second"]))
    path, onward = _read_path(value["path"]), _read_path(value["onward"])
    return HistoryProof(_read_name(value), first, second, path, onward, _read_current(value["current"]))


_READERS: dict[str, Callable[[dict[str, Any]], Proof]] = {
    "event": _read_event,
    "aggregate": _read_aggregate,
    "absent": _read_absence,
    "growth": _read_growth,
    "history": _read_history,
}


def _read_current(value: dict[str, Any]) -> Current:
    return Current(
        _number(value["version"]),
        _hash(value["root"]),
        _read_path(value["path"]),
        _read_steps(value["index"]),
        _text(value["commit"]),
        _text(value["log"]),
    )


def _read_name(value: dict[str, Any]) -> tuple[str, str]:
    aggregate_type, aggregate_id = map(_text, value["aggregate"])
    return aggregate_type, aggregate_id


def _read_steps(value: Any) -> tuple[Step, ...]:
    return tuple((_number(d), _hash(sibling)) for d, sibling in _list(value))


def _read_path(value: Any) -> tuple[bytes, ...]:
    return tuple(map(_hash, _list(value)))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_PATH:
        raise ValueError
    return value


def _hash(value: Any) -> bytes:
    if not re.fullmatch(HASH, value):
        raise ValueError
    return bytes.fromhex(value)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)
