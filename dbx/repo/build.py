"""From checked input to events: one flat loop over lists, because this is where the time of an import goes.

Input objects have the members of `apply --stage --from` (cli.md). Every object is checked before anything is stored; a
fault is kept with the number of its line, and the loop goes on to find the others. The loop trusts that input is right
and leaves saying what is wrong to `_explain`, which is slow and exact.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from dbx.errors import Conflict, DbxError, Invalid, NotFound
from dbx.formats import canonical
from dbx.formats.envelope import issuer_text
from dbx.model import names, snowflake
from dbx.model.event import ARCHIVED, RESERVED, RESTORED
from dbx.model.time import normalise_time
from dbx.repo.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbx.formats.envelope import Actor
    from dbx.model.entropy import Entropy

Existence = Literal["any", "new", "known"]

MEMBERS = frozenset(
    (
        "aggregate_type", "aggregate_id", "event_type", "payload", "metadata", "note", "expected_version",
        "created_at", "event_id",
    )
)  # fmt: skip
REQUIRED = ("aggregate_type", "aggregate_id", "event_type", "payload")
DRAIN = 2048
_SALTS = 1024
_SMALL = 16_000  # characters; UTF-8 takes at most three bytes for each, so every limit is far away
_SEQUENCE = (1 << 12) - 1
_NEXT_MS = (1 << 22) - _SEQUENCE


class Fault:
    """What is wrong with one input object, and where."""

    __slots__ = ("error", "line")

    def __init__(self, line: int, error: DbxError) -> None:
        self.line = line
        self.error = error


class TooManyFaults(Exception):  # noqa: N818 - not an error, but the sign to stop reading
    """`max_faults` were found."""


class Builder:
    """Builds the events of one transaction on top of what `find` knows of each aggregate.

    After `add`, `envelopes`, `bodies` and `leaves` hold what was built since they were last drained; `records` every
    aggregate touched; `runs` the ids as (first, count, offset). Offsets count the events of this builder from 0.
    """

    def __init__(
        self,
        *,
        find: Callable[[str, str], Record | None],
        has_type: Callable[[str], bool],
        is_taken: Callable[[int], bool],
        now_us: int,
        now: str,
        worker: int,
        last_id: int,
        issued_by: Actor | None,
        entropy: Entropy,
        existence: Existence = "any",
        reserved: bool = False,
        max_faults: int = 100,
    ) -> None:
        self._find = find
        self._has_type = has_type
        self._is_taken = is_taken
        self._now = now
        self._entropy = entropy
        self._id = snowflake.first_id(now_us, worker, last_id or None)
        self._existence = existence
        self._reserved = reserved
        self._max_faults = max_faults
        by = "" if issued_by is None else f',"issued_by":{issuer_text(issued_by)}'
        self._suffix = f'"{by},"version":'
        self._event_types: dict[str, str] = {}
        self._metadata_keys: set[str] = set()
        self._salts: list[str] = []
        self._salt_count = 0
        self._given: dict[int, int] = {}
        self._by_type: dict[str, dict[str, Record]] = {}
        self._old_types: dict[str, bool] = {}
        self.envelopes: list[bytes] = []
        self.bodies: list[bytes] = []
        self.leaves: list[bytes] = []
        self.runs: list[tuple[int, int, int]] = []
        self.faults: list[Fault] = []
        self.count = 0

    @property
    def records(self) -> list[Record]:
        """Every aggregate that got events, in the order of first touch within its type."""
        return [record for by_id in self._by_type.values() for record in by_id.values() if record.added]

    @property
    def given(self) -> int:
        """How many ids came with their events."""
        return len(self._given)

    @property
    def last_drawn(self) -> int:
        """No id up to here will be drawn again."""
        return self._id - 1

    def add(self, items: Iterable[tuple[int, dict[str, Any], str | None]], drain: Callable[[], None] | None) -> None:
        """Check and build (line number, object, raw text if it is still to be checked for duplicate keys).

        `drain` is called whenever DRAIN events have come together; it empties the three lists. Raises TooManyFaults.
        """
        envelopes, bodies, leaves, by_type = self.envelopes, self.bodies, self.leaves, self._by_type
        event_types, metadata_keys, suffix, now = self._event_types, self._metadata_keys, self._suffix, self._now
        encode, allowed, required = canonical.encode_scanned, MEMBERS, 4
        salts, event_id, offset, run_start = self._salts, self._id, self.count, self.count
        for line, item, raw in items:
            try:
                if not item.keys() <= allowed:
                    raise ValueError
                aggregate_type, aggregate_id = item["aggregate_type"], item["aggregate_id"]
                payload = item["payload"]
                event_type = event_types.get(item["event_type"]) or self._learn_event_type(item["event_type"])
                record = by_type[aggregate_type].get(aggregate_id) if aggregate_type in by_type else None
                if record is None:
                    record = self._load(aggregate_type, aggregate_id)
                if type(payload) is not dict:
                    raise ValueError
                salt = salts.pop() if salts else self._draw_salt()
                body = {"payload": payload, "salt": salt}
                metadata = None
                created_at = now
                given = None
                if len(item) > required:
                    metadata, created_at, given = self._optional(item, record, body)
                    if metadata and not metadata.keys() <= metadata_keys:
                        for key in metadata:
                            metadata_keys.add(names.check_metadata_key(key))
                if record.archived or self._existence != "any" or event_type in RESERVED:
                    self._check_existence(record, event_type)
                text = encode(body)
                if len(text) > _SMALL:
                    _check_sizes(body)
                if raw is not None and raw.count('"') != text.count('"') + _outer_quotes(item):
                    raise ValueError
                line_bytes = text.encode()
                version = record.version + 1
                if given is None:
                    number = event_id
                    if number & _SEQUENCE == _SEQUENCE:
                        self.runs.append((number - (offset - run_start), offset - run_start + 1, run_start))
                        run_start = offset + 1
                        event_id += _NEXT_MS
                    else:
                        event_id += 1
                else:
                    number = self._take_given(given, line)
                    if offset > run_start:
                        self.runs.append((event_id - (offset - run_start), offset - run_start, run_start))
                    self.runs.append((number, 1, offset))
                    run_start = offset + 1
                envelope = (
                    f'{record.prefix}{sha256(line_bytes).hexdigest()}","created_at":"{created_at}",'
                    f'"event_id":"{number}","event_type":"{event_type}{suffix}{version}}}'
                ).encode()
            except (KeyError, TypeError, ValueError, DbxError) as error:
                self._fault(line, item, raw, error)
                continue
            leaf = sha256(b"\x00" + envelope).digest()
            envelopes.append(envelope)
            bodies.append(line_bytes)
            leaves.append(leaf)
            edge = record.edge
            size = record.version
            while size & 1:
                leaf = sha256(b"\x01" + edge.pop() + leaf).digest()
                size >>= 1
            edge.append(leaf)
            record.version = version
            record.updated_at = created_at
            record.added.append(offset)
            if version == 1:
                record.created_at = created_at
            if event_type in RESERVED:
                record.archived = event_type == ARCHIVED
            else:
                record.state.update(payload)
                if metadata:
                    record.extensions.update(metadata)
            offset += 1
            if drain is not None and len(envelopes) >= DRAIN:
                drain()
        if offset > run_start:
            self.runs.append((event_id - (offset - run_start), offset - run_start, run_start))
        self._id, self.count = event_id, offset
        if self._given:
            self._check_given()

    def refuse(self) -> None:
        """Raise what was found, if anything was: Conflict when every fault is one, NotFound likewise, else Invalid."""
        if not self.faults:
            return
        first = self.faults[0].error
        if len(self.faults) == 1 and self.faults[0].line == 0:
            raise first
        kinds = {type(fault.error) for fault in self.faults}
        kind = kinds.pop() if len(kinds) == 1 else Invalid
        lines = [
            {"line": fault.line, "type": fault.error.kind, "message": fault.error.message} for fault in self.faults
        ]
        if len(lines) == 1:
            message = f"line {self.faults[0].line}: {first.message}, so nothing was stored"
            raise kind(message, hint=first.hint, details={"lines": lines})
        hint = f"stopped after {len(lines)} faults; '--max-errors' shows more" if self._is_full() else None
        raise kind(f"{len(lines)} lines are refused, so nothing was stored", hint=hint, details={"lines": lines})

    def _is_full(self) -> bool:
        return len(self.faults) >= self._max_faults

    def _fault(self, line: int, item: dict[str, Any], raw: str | None, error: Exception) -> None:
        fault = error if isinstance(error, DbxError) else _explain(item, raw)
        self.add_fault(line, fault)

    def add_fault(self, line: int, error: DbxError) -> None:
        """Keep a fault found by who reads the lines. Raises TooManyFaults."""
        self.faults.append(Fault(line, error))
        if self._is_full():
            raise TooManyFaults

    def _learn_event_type(self, event_type: object) -> str:
        stored = names.check_event_type(event_type)
        if stored in RESERVED and not self._reserved:
            raise Invalid(f"event type '{stored}' is reserved: only dbx itself writes it")
        self._event_types[event_type] = stored  # type: ignore[index]
        return stored

    def _load(self, aggregate_type: str, aggregate_id: str) -> Record:
        by_id = self._by_type.get(aggregate_type)
        if by_id is None:
            names.check_type(aggregate_type)
            self._old_types[aggregate_type] = self._has_type(aggregate_type)
            by_id = self._by_type[aggregate_type] = {}
        names.check_id(aggregate_id)
        record = self._find(aggregate_type, aggregate_id) if self._old_types[aggregate_type] else None
        if record is None:
            record = Record(aggregate_type, aggregate_id)
        by_id[aggregate_id] = record
        return record

    def _optional(
        self, item: dict[str, Any], record: Record, body: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, str, int | None]:
        """Put metadata and note into the body; (metadata, created_at, given event id)."""
        metadata = item.get("metadata")
        if metadata:
            if type(metadata) is not dict:
                raise ValueError
            body["metadata"] = metadata
        elif "metadata" in item and metadata != {}:
            raise ValueError
        if "note" in item and names.check_note(item["note"]):
            body["note"] = item["note"]
        expected = item.get("expected_version")
        if expected is not None:
            if type(expected) is not int or expected < 0:
                raise ValueError
            if expected != record.version:
                raise Conflict(
                    f"aggregate '{record.type}/{record.id}' is at version {record.version}, not {expected}",
                    details={"expected": expected, "version": record.version},
                )
        created_at = item.get("created_at")
        given = item.get("event_id")
        return (
            metadata,
            self._now if created_at is None else normalise_time(created_at),
            None if given is None else snowflake.parse_event_id(str(given) if type(given) is int else given),
        )

    def _check_existence(self, record: Record, event_type: str) -> None:
        name = f"aggregate '{record.type}/{record.id}'"
        if self._existence == "new" and record.version:
            raise Conflict(f"{name} exists already", hint="append to it with 'dbx aggregate apply'")
        if self._existence == "known" and not record.version:
            raise NotFound(f"{name} does not exist", hint="create it with 'dbx aggregate create', or add '--create'")
        if record.archived and event_type not in (RESTORED,):
            raise Conflict(
                f"{name} is archived and takes no events",
                hint=f"run 'dbx aggregate restore {record.type} {record.id}' first",
            )

    def _draw_salt(self) -> str:
        # One for a single event, many for a batch: a call costs more than the bytes.
        if not self._salt_count:
            self._salt_count = 32
            return urlsafe_b64encode(self._entropy(12)).decode()
        text = urlsafe_b64encode(self._entropy(12 * self._salt_count)).decode()
        self._salt_count = _SALTS
        self._salts.extend(text[at : at + 16] for at in range(0, len(text), 16))
        return self._salts.pop()

    def _take_given(self, event_id: int, line: int) -> int:
        if event_id in self._given:
            raise Conflict(f"event id '{event_id}' is given twice, first in line {self._given[event_id]}")
        if self._is_taken(event_id):
            raise Conflict(f"event id '{event_id}' is taken by an event of this domain")
        self._given[event_id] = line
        return event_id

    def _check_given(self) -> None:
        """Given ids against those drawn in this very batch."""
        for first, count, _ in self.runs:
            if count == 1 and first in self._given:
                continue
            for number, line in self._given.items():
                if first <= number < first + count:
                    self.add_fault(line, Conflict(f"event id '{number}' was drawn for another event of this batch"))


def _outer_quotes(item: dict[str, Any]) -> int:
    """How many '"' an object's text holds that its body's text does not, if it holds no duplicate keys."""
    quotes = 2 * len(item) + 6  # the keys, and three values that are text
    quotes -= 2 + 2 + 2  # the body's own: "payload", and "salt" with its value
    for name in ("created_at", "event_id"):
        if type(item.get(name)) is str:
            quotes += 2
    if item.get("metadata"):
        quotes -= 2
    if "note" in item:
        quotes += -2 if item["note"] else 2
    return quotes


def _check_sizes(body: dict[str, Any]) -> None:
    for name, limit in (("payload", names.MAX_PAYLOAD_BYTES), ("metadata", names.MAX_METADATA_BYTES)):
        if name in body:
            size = len(canonical.encode_scanned(body[name]).encode())
            if size > limit:
                raise Invalid(f"the {name} has {size} bytes, more than the {limit} it may have")


def _explain(item: Any, raw: str | None) -> DbxError:
    """The exact fault of an object the loop stumbled over."""
    try:
        if raw is not None:
            canonical.check_rest(raw, what="the line", max_depth=canonical.MAX_DEPTH + 2)
        unknown = sorted(item.keys() - MEMBERS)
        if unknown:
            import difflib

            near = difflib.get_close_matches(unknown[0], sorted(MEMBERS), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed are {', '.join(sorted(MEMBERS))}"
            return Invalid(f"unknown member {names.quote(unknown[0])}", hint=hint)
        for name in REQUIRED:
            if name not in item:
                return Invalid(f"member '{name}' is missing")
        names.check_type(item["aggregate_type"])
        names.check_id(item["aggregate_id"])
        names.check_event_type(item["event_type"])
        for name in ("payload", "metadata"):
            if name in item and not isinstance(item[name], dict):
                return Invalid(f"the {name} must be a JSON object")
        expected = item.get("expected_version", 0)
        if type(expected) is not int or expected < 0:
            return Invalid("'expected_version' must be a whole number, 0 for an aggregate that does not exist yet")
        return Invalid("the event cannot be stored as it is")
    except DbxError as error:
        return error
