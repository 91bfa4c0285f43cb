"""Aggregates by themselves: their events, byte for byte, from one domain into another, in one commit of the receiver's.

For partial copies and for merging. Two domains agree on an aggregate when they agree on its version and root. On the
way it is lines: for each aggregate one that announces it, then its events in order (formats.wire):

    ["order","o-17",2,3,"<root at version 3>"]
    {"envelope":{...},"body":{...}}

which gives the events behind version 2 up to version 3. In place of a body that was erased there is null.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Conflict, Corrupt
from dbx.formats import canonical, wire
from dbx.formats.commit import Commit, encode_commit
from dbx.formats.envelope import MAX_BODY_BYTES, MAX_ENVELOPE_BYTES
from dbx.formats.manifest import ManifestEntry
from dbx.model import names
from dbx.model.missing import no_version
from dbx.model.time import format_time
from dbx.repo.enforcement import find_rules
from dbx.repo.erasing import without_bodies
from dbx.repo.log import read_manifest, read_ref
from dbx.repo.query import get_row
from dbx.repo.replica.examine import split_leaves
from dbx.repo.replica.judging import check_events
from dbx.repo.replica.receive import note_move, point_of, sealed, settle
from dbx.repo.replica.vet import Vetting
from dbx.repo.seal import move_ref
from dbx.repo.transaction import commit_actor
from dbx.repo.working import WorkingSet
from dbx.repo.writer import writing
from dbx.store.heldindex import HeldIndex
from dbx.store.segments import SEGMENTS, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.replica.receive import Terms
    from dbx.repo.rules import Rules

MAX_LINE_BYTES = MAX_ENVELOPE_BYTES + MAX_BODY_BYTES + 64
_PAGE = 1000
_EVENTS = 512
_AT_ONCE = 256 * 1024
_LISTED, _NAMED = 20, 5

AUTHORITY = "clone from the authoritative domain, and apply there what is missing"
"""What to do where histories have parted."""


class Root(NamedTuple):
    """An aggregate, its version, and its root in hex."""

    aggregate_type: str
    aggregate_id: str
    version: int
    root: str


class Wanted(NamedTuple):
    """An aggregate at a version."""

    aggregate_type: str
    aggregate_id: str
    version: int


class Parted(NamedTuple):
    """An aggregate whose histories differ: from `version` on, where one has reached `local` and the other `remote`."""

    aggregate_type: str
    aggregate_id: str
    version: int
    local: int
    remote: int


class Taken(NamedTuple):
    """What was taken over, in one commit; `commit` is None where nothing was new."""

    aggregates: int
    events: int
    commit: str | None
    seq: int


def list_roots(domain: Domain, aggregate_type: str | None, aggregate_id: str | None = None) -> Iterator[Root]:
    """The aggregates of a type, or one, or all of them, archived ones too, by type and id."""
    after = ("", "")
    while True:
        where, values = "(type, id) > (?, ?)", [*after]
        if aggregate_type is not None:
            where, values = f"{where} AND type = ?", [*values, aggregate_type]
        if aggregate_id is not None:
            where, values = f"{where} AND id = ?", [*values, aggregate_id]
        rows = domain.read(
            lambda working, _, where=where, values=values: working.index.rows(where, values, "type, id", _PAGE)  # type: ignore[misc]
        )
        for row in rows:
            yield Root(row.type, row.id, row.version, row.root.hex())
        if len(rows) < _PAGE:
            return
        after = rows[-1].type, rows[-1].id


def prefix_roots(domain: Domain, wanted: Sequence[Wanted]) -> list[str | None]:
    """The roots that aggregates had at versions; None where they never were."""

    def query(working: WorkingSet, reader: LogReader) -> list[str | None]:
        return [_prefix_root(working, reader, one) for one in wanted]

    return domain.read(query)


def _prefix_root(working: WorkingSet, reader: LogReader, wanted: Wanted) -> str | None:
    row = working.index.find(wanted.aggregate_type, wanted.aggregate_id)
    if wanted.version == 0:
        return merkle.root([]).hex()
    if row is None or row.n is None or wanted.version > row.version:
        return None
    if wanted.version == row.version:
        return row.root.hex()
    edge: list[bytes] = []
    events = reader.events(working.index.positions(row.n, 1, wanted.version))
    merkle.extend(edge, 0, (merkle.leaf_hash(stored.envelope) for stored in events))
    return merkle.edge_root(edge).hex()


def give(domain: Domain, wanted: Iterable[Wanted]) -> Iterator[bytes]:
    """The lines for aggregates behind versions, in pieces of whole lines. Raises NotFound."""
    for one in wanted:
        kind, name, after = one

        def announce(working: WorkingSet, _: LogReader, kind: str = kind, name: str = name) -> tuple[Root, list[int]]:
            row = get_row(domain, working.index, kind, name)
            assert row.n is not None  # noqa: S101 - a stored row
            return Root(kind, name, row.version, row.root.hex()), working.index.positions(row.n, 1, row.version)

        root, positions = domain.read(announce)
        if after > root.version:
            raise no_version(kind, name, after, root.version)
        yield canonical.encode([kind, name, after, root.version, root.root]) + b"\n"
        for at in range(after, root.version, _EVENTS):
            part = positions[at : min(at + _EVENTS, root.version)]
            events = domain.read(lambda _, reader, part=part: list(reader.events(part)))  # type: ignore[misc]
            bodies = [stored.body for stored in events]
            if any(body is None for body in bodies):
                raise domain.vault.missing()
            yield wire.encode_events([stored.envelope for stored in events], [body or b"" for body in bodies])


def split(pieces: Iterable[bytes], *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Lines without their newlines, from pieces cut anywhere. Raises Corrupt for one too long, or cut short."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
        if len(rest) > max_bytes:
            raise Corrupt("a line is longer than it may be", details={"received": True})
    if rest:
        raise Corrupt("the transfer was cut short", details={"received": True})


def take(domain: Domain, lines: Iterable[bytes], terms: Terms, *, message: str | None = None) -> Taken:
    """Take events over, as one commit: all of them or nothing. What is here already is passed over.

    Raises Conflict naming the aggregates whose histories differ, Corrupt with `received` for what does not add up.
    """
    allowing = nullcontext() if domain.access is None else domain.access.writing()
    with allowing, writing(domain):
        rules = find_rules(domain) if terms.validate else None
        if rules is not None:
            rules.load_sound()
            rules.prepare()
        working = sealed(domain)
        before = point_of(working.head)
        held = HeldIndex(working.index.path, working.indexed, domain.vault)
        try:
            trial = WorkingSet(held)
            with domain.directory.temporary(SEGMENTS) as temporary:
                writer = SegmentWriter(
                    temporary,
                    domain=domain.id,
                    parent=before.commit or None,
                    position=before.position,
                    seq=before.seq + 1,
                    pool=None,
                    vault=domain.vault,
                )
                taking = _Taking(domain, trial, writer, terms, rules)
                try:
                    taking.read(iter(lines))
                except Corrupt as error:
                    error.details.setdefault("received", True)
                    raise
                if not taking.events:
                    return Taken(0, 0, None, before.seq)
                commit, commit_id = taking.close(message)
                sha, size = writer.finish()
            trial.locate(segment_name(sha), writer.blocks, writer.frames)
            trial.flush()
            terms.ask_again()
            ref = read_ref(domain.directory)
            entry = ManifestEntry(sha, size, commit.seq, commit.seq, commit_id.hex())
            entries = [*(read_manifest(domain.directory, ref.manifest) if ref else ()), entry]
            moved = move_ref(domain.directory, without_bodies(domain, trial, taking.vetting.owed, entries))
            domain.close_journal()
            settle(domain, trial, taking.vetting, moved.manifest, held)
            note_move(domain, before, point_of(trial.head), terms)
            return Taken(taking.aggregates, commit.count, commit_id.hex(), commit.seq)
        finally:
            held.close()
            domain.reset()


class _Taking:
    """Events on their way into one commit."""

    def __init__(
        self, domain: Domain, trial: WorkingSet, writer: SegmentWriter, terms: Terms, rules: Rules | None
    ) -> None:
        self._rules = rules
        self._domain = domain
        self._trial = trial
        self._writer = writer
        self._terms = terms
        self.vetting = Vetting(trial, has_schema=lambda _: True, redacted=domain.file.redacted)
        self.events = 0
        self.aggregates = 0
        self._edge: list[bytes] = []
        self._parted: list[Parted] = []
        self._now = format_time(domain.clock())

    def read(self, lines: Iterator[bytes]) -> None:
        """Everything that comes."""
        for line in lines:
            root, after = read_announcement(line)
            kind, name = root.aggregate_type, root.aggregate_id
            mine, _ = self.vetting.standing(kind, name)
            if after > mine:
                raise Conflict(
                    f"the events of '{kind}/{name}' begin behind version {after}, but here it is at version {mine}",
                    hint="try again: the aggregate was looked at before it was as it is",
                )
            self._extend(lines, root, after, mine)
        if self._parted:
            raise parted(self._parted)
        self.vetting.finish()

    def close(self, message: str | None) -> tuple[Commit, bytes]:
        """The commit over what was read; its index root is known once everything is folded."""
        head, actor = self._trial.head, self._terms.actor
        commit = Commit(
            commit_actor(self._domain, actor),
            None,
            self.events,
            self._domain.id,
            merkle.edge_root(self._edge).hex(),
            self._trial.tree.root.hex(),
            message,
            head.commit.hex() or None,
            head.position,
            None if self._rules is None else self._rules.settle(actor=actor, now=self._now),
            head.seq + 1,
            self._now,
        )
        line = encode_commit(commit)
        commit_id = merkle.leaf_hash(line)
        if self._terms.judge is not None:
            self._terms.judge(commit, [], [])
        self._writer.add_commits([line])
        self._trial.advance(commit, commit_id)
        return commit, commit_id

    def _extend(self, lines: Iterator[bytes], root: Root, after: int, mine: int) -> None:
        """Add the events that are new; whatever the case, as many lines are read as were announced."""
        kind, name, version, _ = root
        envelopes: list[bytes] = []
        bodies: list[bytes] = []
        size = 0
        for at in range(after + 1, version + 1):
            line = next(lines, None)
            if line is None:
                raise Corrupt("the transfer was cut short")
            if at <= mine:
                continue
            envelope, body = wire.split_event(line)
            envelopes.append(envelope)
            bodies.append(body)
            size += len(line)
            if size >= _AT_ONCE or len(envelopes) >= _EVENTS:
                self._add(kind, name, envelopes, bodies)
                envelopes, bodies, size = [], [], 0
        if envelopes:
            self._add(kind, name, envelopes, bodies)
        _, here = self.vetting.standing(kind, name)
        if mine == 0 and here.hex() != root.root:
            raise Corrupt(f"the events of aggregate '{kind}/{name}' do not have the root that came with them")
        if max(mine, version) == version and here.hex() != root.root:
            self._parted.append(Parted(kind, name, min(after + 1, mine + 1), mine, version))
        if version > mine:
            self.aggregates += 1

    def _add(self, kind: str, name: str, envelopes: list[bytes], bodies: list[bytes]) -> None:
        block = self.vetting.examine(envelopes, bodies)
        expected = f'{name}","aggregate_type":"{kind}'
        if any(found != expected for found in block.names):
            raise Corrupt(f"an event of another aggregate came among those of '{kind}/{name}'")
        if self._domain.access is not None:
            self._domain.access.check_events(self._domain, envelopes)
        if self._rules is not None:
            check_events(self._rules, envelopes, bodies)
        self.vetting.add(block)
        merkle.extend(self._edge, self.events, split_leaves(block.events.leaves))
        self._writer.add(envelopes, bodies)
        self.events += len(envelopes)
        if self._terms.progress:
            self._terms.progress(len(envelopes))


def parted(found: Sequence[Parted], failed: str | None = None) -> Conflict:
    """The error that names aggregates whose histories differ, and the version at which each parts; first what failed
    because of it."""
    first = found[0]
    sentence = f"{len(found)} aggregates have diverged: {name_parted(found)}"
    if len(found) == 1:
        sentence = f"aggregate '{first.aggregate_type}/{first.aggregate_id}' has diverged at version {first.version}"
    return Conflict(
        sentence if failed is None else f"{failed}: {sentence}",
        hint=f"nothing was changed; {AUTHORITY}",
        details={"aggregates": list_parted(found), "count": len(found)},
    )


def name_parted(found: Sequence[Parted]) -> str:
    """The first of them, each with the version at which its histories part, for a sentence."""
    shown = [f"'{one.aggregate_type}/{one.aggregate_id}' at version {one.version}" for one in found[:_NAMED]]
    more = len(found) - _NAMED
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")


def list_parted(found: Sequence[Parted]) -> list[dict[str, Any]]:
    """The first of them, for the details of an error."""
    return [one._asdict() for one in found[:_LISTED]]


def find_parting(version: int, same: Callable[[int], bool]) -> int:
    """The first version at which two histories differ, given that they do at `version`; `same` compares them at one."""
    low, high = 0, version
    while high - low > 1:
        middle = (low + high) // 2
        if same(middle):
            low = middle
        else:
            high = middle
    return high


def read_announcement(line: bytes) -> tuple[Root, int]:
    """(an aggregate as the sender has it, the version behind which its events come). Raises Corrupt, Invalid."""
    value = canonical.decode(line, what="a line that announces an aggregate")
    if isinstance(value, list) and len(value) == 5 and type(value[2]) is int and type(value[3]) is int:
        kind, name, after, version, root = value
        if 0 <= after <= version < 2**53 and isinstance(root, str) and len(root) == 64:
            return Root(names.check_type(kind), names.check_id(name), version, root), after
    raise Corrupt("a line that should announce an aggregate does not")
