"""From positions of the log to what a plugin is sent: the event, the aggregate at that event, and its schema."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dbx.crypto import merkle
from dbx.errors import Corrupt, Invalid
from dbx.model.cloudevents import to_cloudevent
from dbx.model.delivery import Delivery, Where, make_parts, needs_schema, needs_state
from dbx.model.plugin import HttpConfig
from dbx.repo.enforcement import find_rules
from dbx.repo.events import decode_stored
from dbx.repo.folding import FEW, Folding, edges_agree
from dbx.repo.nearest import find_start
from dbx.repo.query import aggregate_of, get_row

if TYPE_CHECKING:
    from dbx.model.event import Event
    from dbx.model.plugin import Plugin
    from dbx.model.schema import Schema
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Row

    T = TypeVar("T", "_Edge", Folding)

_KEPT = 20_000
"""So many aggregates are remembered as they were after their last event: whole where the state is sent, else only the
right edges of their trees, a few hashes."""
_KEPT_STATES = 1000
_KEPT_BYTES = 8 << 20
"""Of whole ones, more than so many only while the bodies that were folded into them have no more bytes than that."""


class _Facts(NamedTuple):
    """What a schema says that concerns plugins."""

    hidden: bool
    hidden_fields: tuple[str, ...]
    value: dict[str, Any]


class _Memory(OrderedDict[tuple[str, str], "T"]):
    """Aggregates that were used lately. `held` bounds what their states take: the bytes of the bodies in them."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[tuple[str, str], int] = {}
        self._held = 0

    def use(self, key: tuple[str, str], value: T, body_bytes: int) -> None:
        """Keep one, so many bytes of bodies larger than before, and let go of what was not used for longest."""
        self[key] = value
        self.move_to_end(key)
        self._sizes[key] = self._sizes.get(key, 0) + body_bytes
        self._held += body_bytes
        while len(self) > _KEPT or (len(self) > _KEPT_STATES and self._held > _KEPT_BYTES):
            self.drop(next(iter(self)))

    def drop(self, key: tuple[str, str]) -> None:
        """Let go of one, if it is kept."""
        if self.pop(key, None) is not None:
            self._held -= self._sizes.pop(key)

    def clear(self) -> None:
        """Let go of all."""
        super().clear()
        self._sizes.clear()
        self._held = 0


class _Edge:
    """The right edge of an aggregate's tree in the making, where nobody asks for the state."""

    __slots__ = ("count", "edge")

    def __init__(self) -> None:
        self.count = 0
        self.edge: list[bytes] = []

    def add(self, stored: Stored) -> None:
        """Take the next event."""
        merkle.append(self.edge, self.count, merkle.leaf_hash(stored.envelope))
        self.count += 1

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return merkle.edge_root(self.edge)


class DeliveryMaker:
    """Makes the deliveries of one plugin in one domain. Used by one thread, inside queries of `Domain.read`.

    It keeps the aggregates that it has just folded, so that going along the log folds each event once.
    """

    def __init__(self, domain: Domain, plugin: Plugin, *, replay: bool = False) -> None:
        self._domain = domain
        self._plugin = plugin
        self._replay = replay
        self._where = Where(domain.id, domain.name, plugin.name)
        self._folded: _Memory[Folding] = _Memory()
        self._edges: _Memory[_Edge] = _Memory()
        self._facts: dict[str, _Facts | None] = {}
        self._rules: object = None
        self._wants_cloudevents = isinstance(plugin.config, HttpConfig) and plugin.config.format == "cloudevents"

    def make(
        self, working: WorkingSet, reader: LogReader, stored: Stored, *, mode: str | None = None, attempt: int = 1
    ) -> Delivery | None:
        """The delivery of an event; `mode` None is the plugin's own.

        None where the event's type is hidden, and the plugin does not get what is hidden. Raises Corrupt, KeyFailure.
        """
        event = decode_stored(stored, 0)
        mode = mode or self._plugin.payload_mode
        facts = self._facts_of(event.aggregate_type)
        hidden: tuple[str, ...] = ()
        if facts is not None and not self._plugin.include_hidden:
            if facts.hidden:
                return None
            hidden = facts.hidden_fields
        root, state = "", None
        if needs_state(mode) and not self._wants_cloudevents:
            folding = self._after(self._folded, working, reader, event, stored)
            state = folding.aggregate() if isinstance(folding, Folding) else aggregate_of(folding)
            root = state.root
        elif mode != "schema-only" and not self._wants_cloudevents:
            root = self._after(self._edges, working, reader, event, stored).root.hex()
        schema = facts.value if facts is not None and needs_schema(mode) else None
        parts = make_parts(mode, event, root, state, schema, hidden)
        cloud = self._cloudevent(event, mode, hidden) if self._wants_cloudevents else None
        return Delivery(
            self._where,
            stored.position,
            event.aggregate_type,
            event.aggregate_id,
            event.version,
            event.event_type,
            event.event_id,
            mode,
            parts,
            attempt,
            self._replay,
            cloud,
        )

    def hides(self, aggregate_type: str) -> bool:
        """Whether the plugin gets no events of a type, because its schema hides it. Inside a query."""
        facts = self._facts_of(aggregate_type)
        return facts is not None and facts.hidden and not self._plugin.include_hidden

    def forget(self) -> None:
        """Drop what was folded: the history is another one now."""
        self._folded.clear()
        self._edges.clear()

    def _cloudevent(self, event: Event, mode: str, hidden: tuple[str, ...]) -> dict[str, Any]:
        payload = event.payload
        if mode == "extensions-only":
            payload = None
        elif payload is not None and hidden:
            payload = {name: value for name, value in payload.items() if name not in hidden}
        return to_cloudevent(event._replace(payload=payload), self._where.domain_id)

    def _after(self, kept: _Memory[T], working: WorkingSet, reader: LogReader, event: Event, stored: Stored) -> T | Row:
        """An aggregate right after an event. Where that is the latest the index has it."""
        key = (event.aggregate_type, event.aggregate_id)
        found = kept.get(key)
        whole = kept is self._folded
        if found is not None and found.count == event.version - 1:
            found.add(stored)
            kept.use(key, found, len(stored.body or b"") if whole else 0)
            return found
        if found is not None and found.count == event.version:
            return found
        kept.drop(key)
        row = get_row(self._domain, working.index, *key)
        if row.version == event.version:
            return row
        made: Any = self._folded_to(reader, working, row, event) if whole else _Edge()
        assert row.n is not None  # noqa: S101 - a stored row
        size = 0
        for older in reader.events(working.index.positions(row.n, made.count + 1, event.version)):
            made.add(older)
            size += len(older.body or b"")
        if not edges_agree(made.edge, event.version, row):
            raise Corrupt(
                f"the events of aggregate '{row.type}/{row.id}' do not have the root that the index holds for them",
                hint="run 'dbx fsck'",
            )
        kept.use(key, made, size if whole else 0)
        return made  # type: ignore[no-any-return]  # of the kind that is kept there

    def _folded_to(self, reader: LogReader, working: WorkingSet, row: Row, event: Event) -> Folding:
        """Where to begin to fold: a snapshot, or nothing."""
        start = find_start(self._domain, working.index, reader, row, event.version) if event.version > FEW else None
        return start or Folding(event.aggregate_type, event.aggregate_id)

    def _facts_of(self, aggregate_type: str) -> _Facts | None:
        """Looked up once while the schema files stay as they are. Call it inside a query: the mutex is held."""
        with suppress(Invalid):
            find_rules(self._domain)
        if self._domain.rules is not self._rules:
            self._rules = self._domain.rules
            self._facts.clear()
        if aggregate_type not in self._facts:
            schema = self._find_schema(aggregate_type)
            self._facts[aggregate_type] = None if schema is None else _facts(schema)
        return self._facts[aggregate_type]

    def _find_schema(self, aggregate_type: str) -> Schema | None:
        """Of a file with faults, what was published last: delivering must not fail for it, nor tell what was hidden."""
        from dbx.repo.rules import load_rules, load_version_rules
        from dbx.repo.schema import published

        if not self._domain.directory.names("schemas"):
            return None
        try:
            return load_rules(self._domain, strict=False).find_schema(aggregate_type)
        except Invalid:
            head = published.find_head(self._domain.directory)
            return None if head is None else load_version_rules(self._domain, head).find_schema(aggregate_type)


def _facts(schema: Schema) -> _Facts:
    from dbx.model.schema import to_value

    return _Facts(schema.hidden, tuple(schema.hidden_fields), to_value(schema))
