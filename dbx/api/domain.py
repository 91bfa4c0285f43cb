"""A domain and its batches: where events are appended and looked at."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from dbx.api.values import commit_from, commit_of, item_of, item_of_draft, refusal_of_batch
from dbx.errors import DbxError, NotFound, UsageError
from dbx.model.snowflake import parse_event_id
from dbx.repo import query
from dbx.repo.single import NameCache, draft_event
from dbx.repo.transaction import Append, Committed
from dbx.repo.writer import Appender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from dbx.api.values import Commit
    from dbx.formats.envelope import Actor
    from dbx.model.event import Aggregate, Event
    from dbx.repo.domain import Domain as _Domain


class Domain:
    """An open domain: one history of events and the aggregates they add up to. Made by `Repository.domain`.

    What is read is what the log holds at that moment, also when another process has written it.
    """

    def __init__(self, inner: _Domain) -> None:
        self._inner = inner
        self._appender = Appender(inner)
        self._names = NameCache()
        self.closed = False

    @property
    def name(self) -> str:
        """Its name."""
        return self._inner.name

    @property
    def id(self) -> str:
        """Its UUID, which every clone shares."""
        return self._inner.id

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(
        self,
        type: str,
        id: str,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        note: str | None = None,
        expected_version: int | None = None,
        create: bool = True,
        created_at: str | datetime | None = None,
        event_id: int | None = None,
        actor: Actor | None = None,
        message: str | None = None,
    ) -> Event:
        """Commit one event to the aggregate `type`/`id`. When this returns, it is on disk.

        `expected_version` is the version the aggregate must be at, 0 for one that must not exist. With `create` False
        it must exist. `created_at` (RFC 3339 text, or a datetime with a time zone) and `event_id` are drawn when not
        given. Appends of several threads that meet share one write to the disk.

        Raises Invalid, NotFound or Conflict; then nothing was written.
        """
        if note is None and created_at is None and event_id is None:
            draft = draft_event(self._names, type, id, event_type, payload, metadata, expected_version)
            if draft is not None:
                request = self._request([item_of_draft(draft)], actor, message, create)
                request.draft = draft
                committed = self._appender.append(request)
                return request.event or committed.events()[0]
        item = item_of(type, id, event_type, payload, metadata, note, expected_version, created_at, event_id)
        return self._appender.append(self._request([item], actor, message, create)).events()[0]

    def batch(self, message: str | None = None, *, actor: Actor | None = None, create: bool = True) -> Batch:
        """A batch of events for `with`: committed as one at the end of the block, all or none."""
        self._check_open()
        return Batch(self, message, actor, create)

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, type: str, id: str, version: int | None = None) -> Aggregate:
        """An aggregate, at its latest version or an older one. Raises NotFound."""
        return query.get_aggregate(self._check_open(), type, id, version)

    def find(self, type: str, id: str, version: int | None = None) -> Aggregate | None:
        """`get`, but None where there is no such aggregate or version."""
        try:
            return self.get(type, id, version)
        except NotFound:
            return None

    def list(self, type: str | None = None, archived: bool | None = False) -> Iterator[Aggregate]:
        """Aggregates in the order of type and id; `archived` True for archived ones, None for both kinds."""
        return query.iterate_aggregates(self._check_open(), type, archived=archived)

    def events(self, type: str | None = None, id: str | None = None, start: int = 0) -> Iterator[Event]:
        """Events in the order of the log, from position `start` on: all, those of a type, or those of one aggregate.

        Raises NotFound for an aggregate that does not exist. Memory does not grow with the history.
        """
        if id is not None and type is None:
            raise UsageError("an aggregate is named by its type and its id")
        return query.iterate_events(self._check_open(), type, id, start=start)

    def event(self, event_id: int | str) -> Event:
        """The event of that id. Raises NotFound."""
        number = parse_event_id(str(event_id))
        found = query.find_event(self._check_open(), number)
        if found is None:
            raise NotFound(f"domain '{self.name}' has no event '{number}'")
        return found

    def commits(self, newest_first: bool = True) -> Iterator[Commit]:
        """Every commit."""
        return map(commit_of, query.iterate_commits(self._check_open(), newest=newest_first))

    @property
    def head(self) -> Commit | None:
        """The last commit, None in an empty domain."""
        inner = self._check_open()
        seq = inner.read(lambda working, _: working.head.seq)
        return None if seq < 0 else commit_of(query.get_commit(inner, seq))

    def root(self) -> str:
        """The hash over every aggregate, its version and its whole history: 64 hex digits. Equal roots, equal data."""
        return self._check_open().read(lambda working, _: working.head.root.hex(), flush=False)

    def verify(self, type: str, id: str) -> Aggregate:
        """Read, hash and fold every event of an aggregate again; what they add up to.

        Raises Corrupt where that differs from what is stored, NotFound.
        """
        return query.verify_aggregate(self._check_open(), type, id)

    def close(self) -> None:
        """Close its files. What was appended is on disk already."""
        if not self.closed:
            self.closed = True
            self._inner.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _check_open(self) -> _Domain:
        if self.closed:
            raise UsageError(f"domain '{self.name}' has been closed")
        return self._inner

    def _commit(
        self, items: builtins.list[dict[str, Any]], actor: Actor | None, message: str | None, create: bool
    ) -> Committed:
        return self._appender.append(self._request(items, actor, message, create))

    def _request(
        self, items: builtins.list[dict[str, Any]], actor: Actor | None, message: str | None, create: bool
    ) -> Append:
        self._check_open()
        return Append(items, issued_by=actor, message=message, existence="any" if create else "known")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<dbx.Domain {self.name!r}>"


class Batch:
    """Events that become history together. Made by `Domain.batch`.

    After the block `events` holds them as they were stored, and `commit` the commit; an empty batch commits nothing.
    """

    def __init__(self, domain: Domain, message: str | None, actor: Actor | None, create: bool) -> None:
        self._domain = domain
        self._message = message
        self._actor = actor
        self._create = create
        self._items: list[dict[str, Any]] = []
        self._over = False
        self.events: list[Event] = []
        self.commit: Commit | None = None

    def __len__(self) -> int:
        return len(self._items)

    def append(
        self,
        type: str,
        id: str,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        note: str | None = None,
        expected_version: int | None = None,
        created_at: str | datetime | None = None,
        event_id: int | None = None,
    ) -> None:
        """Add an event, as `Domain.append` takes it; an `expected_version` counts the events before it in the batch.

        Names, versions and sizes are checked when the block ends.
        """
        if self._over:
            raise UsageError("the batch is over")
        self._items.append(
            item_of(type, id, event_type, payload, metadata, note, expected_version, created_at, event_id)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if kind is not None or not self._items:
            return
        try:
            committed = self._domain._commit(self._items, self._actor, self._message, self._create)
        except DbxError as refused:
            raise refusal_of_batch(refused) from None
        self.events = committed.events()
        self.commit = commit_from(committed.commit, committed.id)
