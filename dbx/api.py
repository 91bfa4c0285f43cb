"""The Python API (dbx-api(7)): what `import dbx` offers, and promises to keep.

    with dbx.init("shop") as repository:
        orders = repository.domain()
        orders.append("order", "o-17", "order_placed", {"total": "49.50"})
        print(orders.get("order", "o-17").state)

Everything here may be used from many threads. A process that forks opens the repository anew in the child. Errors are
the children of dbx.DbxError.
"""

from __future__ import annotations

import builtins
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dbx.errors import (
    Conflict,
    Corrupt,
    DbxError,
    Denied,
    Failure,
    Invalid,
    KeyFailure,
    Locked,
    NotFound,
    RemoteFailure,
    UsageError,
)
from dbx.formats import canonical
from dbx.formats.envelope import Actor
from dbx.model.event import Aggregate, Event
from dbx.model.snowflake import parse_event_id
from dbx.repo import query
from dbx.repo.repository import DEFAULT
from dbx.repo.repository import Repository as _Repository
from dbx.repo.transaction import Append, Committed
from dbx.repo.writer import Appender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from dbx.formats.commit import Commit as _Commit
    from dbx.repo.domain import Domain as _Domain
    from dbx.repo.log import Entry

__all__ = [
    "Actor",
    "Aggregate",
    "Batch",
    "Commit",
    "Conflict",
    "Corrupt",
    "DbxError",
    "Denied",
    "Domain",
    "Event",
    "Failure",
    "Invalid",
    "KeyFailure",
    "Locked",
    "NotFound",
    "RemoteFailure",
    "Repository",
    "UsageError",
    "init",
    "open",
]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: `count` events from `position` on, which became history together.

    Hashes are 64 hex digits: `id` its own, `parent` that of the commit before it (None for the first), `events` the
    root over its events, `index` the root over every aggregate of the domain after it. `seq` counts commits from 0.
    """

    id: str
    seq: int
    parent: str | None
    time: str
    actor: Actor | None
    message: str | None
    count: int
    position: int
    events: str
    index: str
    domain: str


def init(
    path: str | os.PathLike[str] = ".",
    *,
    domain: str = DEFAULT,
    clock: Callable[[], int] | None = None,
    wait_s: float = 10.0,
) -> Repository:
    """Make a repository in the directory `path`, and open it; one that is there already is only opened.

    `domain` is the name of its first domain. `clock` gives microseconds since the Unix epoch and is the system's by
    default. `wait_s` is how many seconds to wait for another process that writes.
    """
    inner, _ = _Repository.init(os.fspath(path), clock=clock or _now_us, domain=domain, wait_s=wait_s)
    return Repository(inner)


def open(
    path: str | os.PathLike[str] = ".", *, clock: Callable[[], int] | None = None, wait_s: float = 10.0
) -> Repository:
    """Open the repository of the directory `path`, or of the nearest directory above it that has one.

    Raises NotFound where there is none, and Denied when it belongs to another user.
    """
    return Repository(_Repository(_Repository.find(os.fspath(path)), clock=clock or _now_us, wait_s=wait_s))


class Repository:
    """An open repository: a set of domains. `with` closes it at the end. Made by `dbx.init` and `dbx.open`."""

    def __init__(self, inner: _Repository) -> None:
        self._inner = inner
        self._domains: dict[str, Domain] = {}
        self._mutex = threading.Lock()
        self._closed = False

    @property
    def path(self) -> str:
        """The path of its `.dbx` directory."""
        return self._inner.path

    def domain(self, name: str | None = None) -> Domain:
        """An open domain, the checked-out one by default. Raises NotFound.

        The same name gives the same object, whoever asks.
        """
        with self._mutex:
            self._check_open()
            name = self._inner.active if name is None else name
            found = self._domains.get(name)
            if found is None or found.closed:
                found = self._domains[name] = Domain(self._inner.domain(name))
            return found

    def domains(self) -> list[str]:
        """The names of all domains, sorted."""
        self._check_open()
        return self._inner.domain_names()

    def create_domain(self, name: str) -> Domain:
        """A new, empty domain, which is not checked out. Raises Conflict when there is one of that name, Invalid."""
        with self._mutex:
            self._check_open()
            found = self._domains[name] = Domain(self._inner.create_domain(name))
            return found

    def close(self) -> None:
        """Close every domain. What was appended is on disk already."""
        with self._mutex:
            self._closed = True
            for domain in self._domains.values():
                domain.close()
            self._inner.close()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the repository '{self.path}' has been closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<dbx.Repository {self.path!r}>"


class Domain:
    """An open domain: one history of events and the aggregates they add up to. Made by `Repository.domain`.

    What is read is what the log holds at that moment, also when another process has written it.
    """

    def __init__(self, inner: _Domain) -> None:
        self._inner = inner
        self._appender = Appender(inner)
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
        item = _item(type, id, event_type, payload, metadata, note, expected_version, created_at, event_id)
        return self._commit([item], actor, message, create).events()[0]

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
        return map(_commit_of, query.iterate_commits(self._check_open(), newest=newest_first))

    @property
    def head(self) -> Commit | None:
        """The last commit, None in an empty domain."""
        inner = self._check_open()
        seq = inner.read(lambda working, _: working.head.seq)
        return None if seq < 0 else _commit_of(query.get_commit(inner, seq))

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
        self._check_open()
        request = Append(items, issued_by=actor, message=message, existence="any" if create else "known")
        return self._appender.append(request)

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
        self._items.append(_item(type, id, event_type, payload, metadata, note, expected_version, created_at, event_id))

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
            raise _of_batch(refused) from None
        self.events = committed.events()
        self.commit = _commit_from(committed.commit, committed.id)


def _now_us() -> int:
    return time.time_ns() // 1000


def _item(
    aggregate_type: str,
    aggregate_id: str,
    event_type: str,
    payload: Mapping[str, Any],
    metadata: Mapping[str, Any] | None,
    note: str | None,
    expected_version: int | None,
    created_at: str | datetime | None,
    event_id: int | None,
) -> dict[str, Any]:
    """The object that the engine takes. What the caller changes in a payload afterwards does not change the event."""
    item: dict[str, Any] = {
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "event_type": event_type,
        "payload": canonical.normalise(_plain(payload), what="the payload"),
    }
    if metadata is not None:
        item["metadata"] = canonical.normalise(_plain(metadata), what="the metadata")
    if note is not None:
        item["note"] = note
    if expected_version is not None:
        item["expected_version"] = expected_version
    if created_at is not None:
        item["created_at"] = created_at.isoformat() if isinstance(created_at, datetime) else created_at
    if event_id is not None:
        item["event_id"] = event_id
    return item


def _plain(mapping: Mapping[str, Any]) -> Any:
    return mapping if type(mapping) is dict else dict(mapping) if hasattr(mapping, "keys") else mapping


def _of_batch(error: DbxError) -> DbxError:
    """The refusal of a batch, in the words of one who has no lines."""
    lines = error.details.get("lines")
    if not lines:
        return error
    first, more = lines[0], f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return type(error)(
        f"event {first['line']} of the batch is refused, and nothing was committed: {first['message']}{more}",
        hint=error.hint,
        details={"events": lines},
    )


def _commit_of(entry: Entry) -> Commit:
    return _commit_from(entry.commit, entry.id.hex())


def _commit_from(c: _Commit, commit_id: str) -> Commit:
    actor = None if c.actor is None else Actor(c.actor.group, c.actor.user)
    return Commit(
        commit_id, c.seq, c.parent, c.time, actor, c.message, c.count, c.position, c.events, c.index, c.domain
    )
