"""Checking input objects: one flat loop over local names, because this is where the time of an import goes.

Input objects have the members of `apply --stage --from` (cli.md). A fault is kept with the number of its line, and the
loop goes on to find the others. It trusts that input is right and leaves saying what is wrong to `_explain`, which is
slow and exact.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dbx.errors import DbxError, Invalid
from dbx.formats import canonical
from dbx.formats.envelope import MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES
from dbx.model import names, snowflake
from dbx.model.event import RESERVED
from dbx.model.time import normalise_time
from dbx.repo.record import Record, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbx.model.entropy import Entropy
    from dbx.repo.record import Shape
    from dbx.repo.rules import Rules

    Item = tuple[int, dict[str, Any], str | None]
    """Line number, object, raw text if that is still to be checked for duplicate keys."""
    Checked = tuple[Record, str, Shape, str, Shape, str, bytes, str, str, int | None]
    """Record, event type, shape and text of payload and metadata ("" for none), body line and its hash in hex,
    created_at, the id that was given."""

MEMBERS = frozenset(
    (
        "aggregate_type", "aggregate_id", "event_type", "payload", "metadata", "note", "expected_version",
        "created_at", "event_id",
    )
)  # fmt: skip
REQUIRED = ("aggregate_type", "aggregate_id", "event_type", "payload")
_SALTS = 1024
_SMALL = 16_000  # characters; UTF-8 takes at most three bytes for each, so every limit is far away
_SECONDS = 4096
_MAX_DEPTH = canonical.MAX_DEPTH


class Fault:
    """What is wrong with one input object, and where."""

    __slots__ = ("error", "line")

    def __init__(self, line: int, error: DbxError) -> None:
        self.line = line
        self.error = error


class TooManyFaults(Exception):  # noqa: N818 - not an error, but the sign to stop reading
    """`max_faults` were found."""


class Undecided(Exception):  # noqa: N818 - not an error, but the sign that somebody else must look
    """Whether an object is right depends on events that are not known here."""


class Intake:
    """Checks objects one by one and encodes their bodies. What depends on the events before is for others to check."""

    def __init__(
        self,
        *,
        find: Callable[[str, str], Record | None],
        has_type: Callable[[str], bool],
        now: str,
        entropy: Entropy,
        reserved: bool = False,
        rules: Rules | None = None,
        max_faults: int = 100,
    ) -> None:
        self.rules = rules
        self._look_up = None if rules is None else rules.look_up_in(self._known)
        self._find = find
        self._has_type = has_type
        self.now = now
        self.entropy = entropy
        self._reserved = reserved
        self._max_faults = max_faults
        self._event_types: dict[str, str] = {}
        self._payload_shapes: dict[tuple[str, ...], Shape] = {}
        self._metadata_shapes: dict[tuple[str, ...], Shape] = {}
        self._seconds: set[str] = set()
        self._salts: list[str] = []
        self._salt_count = 0
        self._by_type: dict[str, dict[str, Record]] = {}
        self._old_types: dict[str, bool] = {}
        self._is_guarded = False
        self.faults: list[Fault] = []

    @property
    def records(self) -> list[Record]:
        """Every aggregate that got events, in the order of first touch within its type."""
        return [record for by_id in self._by_type.values() for record in by_id.values() if record.added]

    def check(self, items: Iterable[Item]) -> Iterator[Checked]:
        """Every object that can be stored. Raises TooManyFaults."""
        event_types, by_type, salts = self._event_types, self._by_type, self._salts
        learn, load, seconds, guarded = self._learn_event_type, self._load, self._seconds, self._is_guarded
        rules, keep = self.rules, self._keep_rules
        payload_shapes, metadata_shapes, learn_shape = self._payload_shapes, self._metadata_shapes, self._learn_shape
        chunks, misorder, join, digest, draw = (
            canonical.chunks,
            canonical.may_misorder,
            "".join,
            sha256,
            self._draw_salt,
        )
        for line, item, raw in items:
            try:
                kind, name, payload, event_type = (
                    item["aggregate_type"], item["aggregate_id"], item["payload"], item["event_type"],
                )  # fmt: skip
                event_type = event_types.get(event_type) or learn(event_type)
                by_id = by_type.get(kind)
                record = (by_id and by_id.get(name)) or load(kind, name)
                if type(payload) is not dict:
                    raise ValueError
                if raw is not None:
                    # An object in which another one nests has a key: where quotes and brackets are few, all is well.
                    sent_quotes = raw.count('"')
                    if sent_quotes // 2 + ("[" in raw and raw.count("[")) >= _MAX_DEPTH:
                        _check_depth(item)
                created_at, metadata, given, noted = self.now, None, None, ""
                meta_shape = meta = ""
                members = len(item)
                quotes = 2 * members + 4  # that the text has more than the body: names of members, texts as values
                if members > 4:
                    if metadata := item.get("metadata"):
                        if type(metadata) is not dict:
                            raise ValueError
                        keys = tuple(metadata)
                        meta_shape = metadata_shapes.get(keys) or self._learn_metadata(keys)
                        members -= 1
                        quotes -= 2
                    if (sent := item.get("created_at")) is not None:
                        # Most times are spelled as they are stored, within a second that is known to exist.
                        if (
                            type(sent) is str and sent[:20] in seconds and len(sent) == 27 and sent[26] == "Z"
                            and sent[20:26].isdigit() and sent.isascii()
                        ):  # fmt: skip
                            created_at = sent
                        else:
                            created_at = self._learn_time(sent)
                        members -= 1
                        quotes += 2
                    if members > 4:
                        noted, given, more = self._take_rest(item, record)
                        quotes += more
                if guarded or record.archived:
                    self._guard(record, event_type)
                if rules is not None:
                    payload = keep(record, event_type, payload)
                keys = tuple(payload)
                shape, text = payload_shapes.get(keys) or learn_shape(keys), join(chunks(payload, 0))
                if metadata:
                    meta = join(chunks(metadata, 0))
                    body = f'{{"metadata":{meta},{noted}"payload":{text}'
                else:
                    body = f'{{{noted}"payload":{text}'
                if (raw is None and "e-0" in body) or (not body.isascii() and misorder(body)):
                    text, meta, body = _encode_exactly(payload, metadata, noted)
                if len(body) > _SMALL:
                    _check_sizes(text, meta)
                if raw is not None and sent_quotes != body.count('"') + quotes:
                    raise ValueError
                if given is not None:
                    self._take_given(given, line)
                line_bytes = f'{body},"salt":"{salts.pop() if salts else draw()}"}}'.encode()
            except (KeyError, TypeError, ValueError, RecursionError, DbxError) as error:
                self._fault(line, item, raw, error)
                continue
            yield (
                record, event_type, shape, text, meta_shape, meta, line_bytes, digest(line_bytes).hexdigest(),
                created_at, given,
            )  # fmt: skip

    def add_fault(self, line: int, error: DbxError) -> None:
        """Keep a fault found by who reads the lines. Raises TooManyFaults."""
        if "column" in error.details:
            _say_once(error)
        self.faults.append(Fault(line, error))
        if self._is_full():
            raise TooManyFaults

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
        is_said = isinstance(error, DbxError) and item.keys() <= MEMBERS
        self.add_fault(line, error if is_said else _explain(item, raw))  # type: ignore[arg-type]  # a DbxError

    def _learn_event_type(self, event_type: object) -> str:
        stored = names.check_event_type(event_type)
        if stored in RESERVED and not self._reserved:
            raise Invalid(f"event type '{stored}' is reserved: only dbx itself writes it")
        self._event_types[event_type] = stored  # type: ignore[index]
        return stored

    def _known(self, aggregate_type: str, aggregate_id: str) -> Record:
        by_id = self._by_type.get(aggregate_type)
        return (by_id and by_id.get(aggregate_id)) or self._load(aggregate_type, aggregate_id)

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

    def _learn_shape(self, keys: tuple[str, ...]) -> Shape:
        shape = self._payload_shapes[keys] = shape_of(keys)
        return shape

    def _learn_metadata(self, keys: tuple[str, ...]) -> Shape:
        for key in keys:
            names.check_metadata_key(key)
        shape = self._metadata_shapes[keys] = shape_of(keys)
        return shape

    def _learn_time(self, sent: object) -> str:
        text = normalise_time(sent)
        if text == sent:
            if len(self._seconds) >= _SECONDS:
                self._seconds.clear()
            self._seconds.add(text[:20])
        return text

    def _take_rest(self, item: dict[str, Any], record: Record) -> tuple[str, int | None, int]:
        """The members that are rare: (the note as part of the body, the given event id, quotes as `check` counts)."""
        if not item.keys() <= MEMBERS:
            raise ValueError
        if "metadata" in item and item["metadata"] != {} and not item["metadata"]:
            raise ValueError
        noted, given, quotes = "", None, 0
        if "note" in item:
            note = names.check_note(item["note"])
            noted = f'"note":{canonical.encode_scanned(note)},' if note else ""
            quotes = -2 if note else 2
        if (expected := item.get("expected_version")) is not None:
            if type(expected) is not int or expected < 0:
                raise ValueError
            self._expect(record, expected)
        if (sent := item.get("event_id")) is not None:
            given = snowflake.parse_event_id(str(sent) if type(sent) is int else sent)
            quotes += 2 if type(sent) is str else 0
        return noted, given, quotes

    def _expect(self, record: Record, version: int) -> None:
        """An aggregate must be at a version now."""
        raise Undecided

    def _take_given(self, event_id: int, line: int) -> None:
        """An event id came with its event."""
        raise Undecided

    def _guard(self, record: Record, event_type: str) -> None:
        """An aggregate is archived, or must or must not exist."""
        raise Undecided

    def _keep_rules(self, record: Record, event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload as it is to be stored, when it keeps the schema's rules. Raises Invalid."""
        assert self.rules is not None  # noqa: S101 - asked before
        return self.rules.check_of(record.type, event_type)(payload, not record.version, self._look_up)

    def _draw_salt(self) -> str:
        # One for a single event, many for a batch: a call costs more than the bytes.
        if not self._salt_count:
            self._salt_count = 32
            return urlsafe_b64encode(self.entropy(12)).decode()
        text = urlsafe_b64encode(self.entropy(12 * self._salt_count)).decode()
        self._salt_count = _SALTS
        self._salts.extend(text[at : at + 16] for at in range(0, len(text), 16))
        return self._salts.pop()


def _say_once(fault: DbxError) -> None:
    """The number of the line stands before the sentence: what is wrong *in* the line need not say that it is line 1."""
    column = f"column {fault.details['column']}"
    fault.message = (
        fault.message.replace(f" at line 1 {column}", f" at {column}")
        .replace(f" in the line at {column}", f" at {column}")
        .replace(" in the line field '", " in field '")
    )


def parse_lines(intake: Intake, lines: Iterable[tuple[int, str | DbxError]]) -> Iterator[Item]:
    """JSON lines to objects to be checked; a line that is no JSON object is a fault of its own."""
    scan, is_sound = canonical.scan_plain, canonical.is_sound
    for number, text in lines:
        try:
            if not isinstance(text, str) or "\\" in text or not (text.isascii() or is_sound(text)):
                raise TypeError  # a fault that the reader found, or strings of which counting quotes tells nothing
            item, end = scan(text, 0)
            if (end == len(text) or text[end:] == "\r") and type(item) is dict:
                yield number, item, text
                continue
        except (StopIteration, ValueError, TypeError, RecursionError, DbxError):
            pass
        yield from _parse_slowly(intake, number, text)


def _parse_slowly(intake: Intake, number: int, text: str | DbxError) -> Iterator[Item]:
    try:
        if isinstance(text, DbxError):
            raise text
        is_plain = "\\" not in text and text.isascii()
        item = canonical.loads(text, what="the line", max_depth=_MAX_DEPTH * 2 if is_plain else _MAX_DEPTH + 1)
        if type(item) is not dict:
            raise Invalid("the line is not a JSON object")
        if is_plain:
            _check_depth(item)
    except DbxError as fault:
        intake.add_fault(number, fault)
    else:
        yield number, item, None


def _check_depth(item: dict[str, Any]) -> None:
    for name in ("payload", "metadata"):
        if canonical.depth(item.get(name)) > _MAX_DEPTH:
            raise Invalid(f"the {name} nests deeper than {_MAX_DEPTH}")


def _encode_exactly(payload: dict[str, Any], metadata: dict[str, Any] | None, noted: str) -> tuple[str, str, str]:
    text = canonical.encode_scanned(payload)
    meta = canonical.encode_scanned(metadata) if metadata else ""
    begin = f'"metadata":{meta},' if meta else ""
    return text, meta, f'{{{begin}{noted}"payload":{text}'


def _check_sizes(payload: str, metadata: str) -> None:
    for name, text, limit in (
        ("payload", payload, MAX_PAYLOAD_BYTES),
        ("metadata", metadata, MAX_METADATA_BYTES),
    ):
        size = len(text.encode())
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
