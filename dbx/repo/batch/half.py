"""The second half of a large file, checked in a process of its own.

What does not depend on the events before is done while the first half is still being read: parsing, every check of a
line, encoding and hashing the bodies. Then this process says which aggregates it met, is told at which version they are
and where the event ids go on, and finishes the lines. Only joined texts travel; the events stay in files.

Whatever it cannot decide alone (a fault, an expected version, a given event id) makes it give up: then the first
process reads on by itself, as if there had never been another.
"""

from __future__ import annotations

import json
import os
import signal
from array import array
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from dbx.crypto.merkle import leaf_hash, subtrees
from dbx.errors import Invalid
from dbx.formats.segment import pack
from dbx.repo.intake import Intake, Undecided, parse_lines
from dbx.repo.lines import read_lines
from dbx.repo.record import MERGED
from dbx.store.descriptor import close_all_but, write_all
from dbx.store.fs import read_at
from dbx.store.messages import SAYS, message, read_exactly, receive
from dbx.store.outbox import Outbox
from dbx.store.section import cut_blocks, encode_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.errors import DbxError
    from dbx.model.entropy import Entropy
    from dbx.repo.record import Record, Shape
    from dbx.repo.rules import Rules

AT_ONCE = 2048
PIECE = 4096
GIVES_UP = b"U"
LEAF_BYTES = 32
_NOTES = b"dbx1H"


class Work(NamedTuple):
    """What the second process is given: byte range and descriptors of the input, of the file for its notes, of the
    file that the event lines go to, the two ends of its pipes, what every event gets, and the rules it must keep."""

    source: int
    start: int
    end: int
    notes: int
    target: int
    reading: int
    writing: int
    now: str
    suffix: str
    entropy: Entropy
    rules: Rules | None
    vault: Vault


def run(work: Work) -> NoReturn:
    """What the process does after the fork. It never comes back, and cleans up nothing that is its parent's."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends this process
        close_all_but(work.source, work.notes, work.target, work.reading, work.writing)
        try:
            _Half(work).run()
        except Undecided:
            write_all(work.writing, GIVES_UP)
        status = 0
    finally:
        os._exit(status)


def reader(source: int, start: int, end: int) -> Callable[[int], bytes]:
    """`read(n)` for a byte range of a file; the file position is nobody's."""
    at = start

    def read(size: int) -> bytes:
        nonlocal at
        data = os.pread(source, min(size, end - at), at)
        at += len(data)
        return data

    return read


def decode_layers(known: list[Shape], lines: bytes) -> Iterator[tuple[Shape, str]]:
    """What is to be laid on one aggregate after the other. `known` are MERGED and all shapes that were told."""
    for line in lines.decode().split("\n"):
        number, _, text = line.partition(" ")
        yield known[int(number)], text


def decode_trees(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Subtrees as `merkle.graft` takes them."""
    for at in range(0, len(data), 33):
        yield data[at], data[at + 1 : at + 33]


def _encode_layer(shapes: dict[Shape, int], shape: Shape, text: str) -> str:
    # Canonical texts hold no newlines.
    return f"{shapes.setdefault(shape, len(shapes))} {text}"


class _Note(NamedTuple):
    """A block as it is noted: its events, and the bytes of the template of their envelopes and of their bodies."""

    events: int
    template: int
    bodies: int


class _Half(Intake):
    """Knows nothing of any aggregate: versions count from 0, and `n` numbers the aggregates in the order they came."""

    def __init__(self, work: Work) -> None:
        super().__init__(
            find=lambda _kind, _name: None,
            has_type=lambda _kind: False,
            now=work.now,
            entropy=work.entropy,
            rules=work.rules,
        )
        self._unlike_first: set[tuple[str, str]] = set()
        self._work = work
        self._parent = os.getppid()
        self._order: list[Record] = []
        self._numbers = array("I")
        self._notes: list[_Note] = []
        self._noted = 0
        self._templates: list[bytes] = []
        self._bodies: list[bytes] = []

    def run(self) -> None:
        work = self._work
        self._prepare()
        order = self._order
        if not order:
            raise Undecided
        # The first process is still at work: it reads what is put here when it has come to its end.
        told = Outbox(work.writing)
        told.put(
            message(
                "\n".join([f"{record.type} {record.id}" for record in order]).encode(),
                "\n".join([record.created_at for record in order]).encode(),
                "\n".join([record.updated_at for record in order]).encode(),
                self._numbers.tobytes(),
                bytes((record.type, record.id) in self._unlike_first for record in order),
                str(self._noted).encode(),
            )
        )
        for piece in self._pieces():
            told.put(message(*piece))
        if read_exactly(work.reading, 1) != SAYS:
            raise EOFError
        versions, runs, at = receive(work.reading, 3)
        target, first = map(int, at.split())
        ids = chain.from_iterable([range(first, first + count) for first, count, _ in json.loads(runs)])
        self._finish(told, array("Q", versions), ids, target, first)
        told.close()

    def _pieces(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Shapes that are new, what to lay on states, and on extensions, PIECE aggregates at a time, which it forgets.

        By now the first process holds many as well, and the memory of both counts.
        """
        order = self._order
        shapes = {MERGED: 0}
        self._by_type.clear()
        for start in range(0, len(order), PIECE):
            before = len(shapes)
            merged = [record.merged() for record in order[start : start + PIECE]]
            states = "\n".join([_encode_layer(shapes, *state) for state, _ in merged])
            extensions = "\n".join([_encode_layer(shapes, *extension) for _, extension in merged])
            for record in order[start : start + PIECE]:
                record.payloads, record.metadata = {}, {}
            fresh = "\n".join(list(shapes)[before:])
            yield fresh.encode(), states.encode(), extensions.encode()
        order.clear()

    def _prepare(self) -> None:
        """Everything but versions, event ids and what hangs on them."""
        suffix = self._work.suffix.replace("%", "%%")
        templates, bodies, numbers = self._templates, self._bodies, self._numbers
        lines = read_lines(reader(self._work.source, self._work.start, self._work.end), first_line=2)
        for record, event_type, shape, payload, meta_shape, metadata, body, body_hash, created_at, _ in self.check(
            parse_lines(self, lines)
        ):
            templates.append(
                (
                    f'{{"aggregate_id":"{record.id}","aggregate_type":"{record.type}","body":"{body_hash}",'
                    f'"created_at":"{created_at}",'
                    f'"event_id":"%d","event_type":"{event_type}{suffix}%d}}'
                ).encode()
            )
            bodies.append(body)
            if record.n is None:
                record.n = len(self._order)
                record.created_at = created_at
                self._order.append(record)
            numbers.append(record.n)
            record.updated_at = created_at
            record.lay(shape, payload)
            if metadata:
                record.lay_metadata(meta_shape, metadata)
            if len(templates) >= AT_ONCE:
                self._note()
        if templates:
            self._note()

    def _note(self) -> None:
        self._check_parent()
        vault = self._work.vault
        for start, stop in cut_blocks(self._templates, self._bodies):
            template = b"\n".join(self._templates[start:stop])
            bodies = b"\n".join(self._bodies[start:stop])
            if vault.seals:
                bodies = vault.seal_text(bodies, _NOTES)
            write_all(self._work.notes, template + bodies)
            self._notes.append(_Note(stop - start, len(template), len(bodies)))
            self._noted += len(template) + len(bodies)
        self._templates.clear()
        self._bodies.clear()

    def _keep_rules(self, record: Record, event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        """As for an aggregate that exists. Where its first event here could not be the very first, that is noted."""
        rules = self.rules
        assert rules is not None  # noqa: S101 - asked before
        if rules.asks_index(record.type):
            raise Undecided
        check = rules.check_of(record.type, event_type)
        if record.n is None and rules.differs_when_first(record.type):
            try:
                return check(payload, True, None)
            except Invalid:
                self._unlike_first.add((record.type, record.id))
        return check(payload, False, None)

    def add_fault(self, line: int, error: DbxError) -> None:
        """The first process says what is wrong, and in which line."""
        raise Undecided

    def _finish(self, told: Outbox, versions: array[int], ids: Iterable[int], at: int, staged: int) -> None:
        """Write the events from `at` on, behind `staged` others, and the leaves behind the notes.

        It tells of some at a time: how many bytes and events were written, and the subtrees that their leaves make; and
        at the end what the last event is.
        """
        work = self._work
        numbers, event_ids = iter(self._numbers), iter(ids)
        read, leaves_at = 0, self._noted
        leaves: list[bytes] = []
        envelopes = bodies = b""
        written = 0
        for note in self._notes:
            template = read_at(work.notes, note.template, read)
            bodies = work.vault.open_text(read_at(work.notes, note.bodies, read + note.template), _NOTES)
            read += note.template + note.bodies
            values: list[int] = []
            for event_id, number in zip(islice(event_ids, note.events), numbers, strict=False):
                versions[number] = version = versions[number] + 1
                values += (event_id, version)
            envelopes = template % tuple(values)
            leaves += map(leaf_hash, envelopes.split(b"\n"))
            block = encode_block(note.events, pack(envelopes + b"\n"), pack(bodies + b"\n"), work.vault)
            write_all(work.target, block, at + written)
            written += len(block)
            if len(leaves) >= AT_ONCE or note is self._notes[-1]:
                write_all(work.notes, b"".join(leaves), leaves_at)
                trees = b"".join([bytes((height,)) + tree for height, tree in subtrees(staged, leaves)])
                self._check_parent()
                told.put(message(str(written).encode(), str(len(leaves)).encode(), trees))
                leaves_at += LEAF_BYTES * len(leaves)
                staged += len(leaves)
                at += written
                written = 0
                leaves.clear()
        told.put(message(envelopes[envelopes.rfind(b"\n") + 1 :], bodies[bodies.rfind(b"\n") + 1 :]))

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            raise EOFError
