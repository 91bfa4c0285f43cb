"""Small repositories to break, and what is in them when one looks: for saying 'as before' and 'as after' exactly."""

from __future__ import annotations

import fcntl
import json
import random
import re
import time
from base64 import b64decode
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from cryptography.exceptions import InvalidTag

from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import stage, staged_events
from dbx.repo.delivery.plugins import read_plugins
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.schema import published, schemas
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from tests import reader

JANE = Actor("ops", "jane")


def clock() -> int:
    return time.time_ns() // 1000


def item(n: int, aggregate: str = "", size: int = 0) -> dict[str, Any]:
    """An event as `apply --from` takes it; `size` bytes of its payload cannot be compressed."""
    payload: dict[str, Any] = {"n": n}
    if size:
        payload["noise"] = random.Random(n).randbytes(size // 2).hex()
    return {
        "aggregate_type": "order",
        "aggregate_id": aggregate or f"o-{n % 7}",
        "event_type": "order_placed",
        "payload": payload,
    }


def lines(items: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in items)


def open_repository(where: Path, **options: Any) -> Repository:
    """The repository in `where/work`, opened in this process."""
    return Repository(str(where / "work" / ".dbx"), clock=clock, **options)


def make(where: Path) -> None:
    """An empty repository."""
    Repository.init(str(where / "work"), clock=clock)[0].close()


def append(where: Path, items: Sequence[dict[str, Any]], *, domain: str | None = None, each: bool = True) -> None:
    """Commit events, each by itself or all at once, through the library."""
    with closing(open_repository(where)) as repository:
        appender = Appender(repository.domain(domain))
        for group in [[one] for one in items] if each else [items]:
            appender.append(Append(group, issued_by=JANE))


def stage_items(where: Path, items: Sequence[dict[str, Any]], *, domain: str | None = None) -> None:
    with closing(open_repository(where)) as repository:
        stage(repository.domain(domain), [(n, one, None) for n, one in enumerate(items, 1)], issued_by=JANE)


def commit_all(where: Path) -> None:
    with closing(open_repository(where)) as repository:
        assert commit_staged(repository.domain(), actor=JANE, message="all") is not None


def tidy(where: Path) -> None:
    """Seal and merge."""
    with closing(open_repository(where)) as repository:
        collect(repository.domain())


@dataclass(frozen=True)
class DomainState:
    """What a domain holds. `log` are envelope hashes: byte for byte the same history or not."""

    id: str
    events: tuple[str, ...]
    staged: tuple[str, ...]
    log: tuple[str, ...]
    commits: tuple[str, ...]
    roots: tuple[str, ...]
    schemas: tuple[Any, ...] = ()

    @property
    def shape(self) -> tuple[Any, ...]:
        """The same for two runs of one command, whatever ids, times and salts they drew."""
        return self.events, self.staged, len(self.commits), self.schemas


@dataclass(frozen=True)
class State:
    """What a repository holds; `active` is None where there is none yet."""

    active: str | None
    domains: dict[str, DomainState]
    config: str
    plugins: str

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.active, {name: domain.shape for name, domain in self.domains.items()}, self.config, self.plugins

    @property
    def work(self) -> int:
        """How many events there are, committed or staged."""
        return sum(len(domain.events) + len(domain.staged) for domain in self.domains.values())

    def __repr__(self) -> str:
        parts = [
            f"{name}: {len(d.events)} events, {len(d.commits)} commits, {len(d.staged)} staged"
            for name, d in self.domains.items()
        ]
        return f"<{self.active} of {'; '.join(parts)}>"


NOTHING = State(None, {}, "", "")


def observe(where: Path) -> State:
    """Open the repository and read everything that is in it, through the index."""
    if not (where / "work" / ".dbx" / "HEAD").exists():
        return NOTHING
    with closing(open_repository(where, wait_s=0.5)) as repository:
        domains = {name: observe_domain(repository.domain(name)) for name in repository.domain_names()}
        config = json.dumps(repository.read_config(), sort_keys=True)
        plugins = [replace(plugin, created_at="") for plugin in read_plugins(repository)]
        return State(repository.active, domains, config, repr(plugins))


def observe_domain(domain: Domain) -> DomainState:
    events = list(query.iterate_events(domain))
    commits = [entry.id.hex() for entry in query.iterate_commits(domain)]
    aggregates = list(query.iterate_aggregates(domain, archived=None))
    return DomainState(
        domain.id,
        tuple(_shape(event) for event in events),
        tuple(_shape(event) for event in staged_events(domain)),
        tuple(event.hash for event in events),
        tuple(sorted(commits)),
        tuple(f"{one.aggregate_type}/{one.aggregate_id}@{one.version} {one.root}" for one in aggregates),
        observe_schemas(domain),
    )


def observe_schemas(domain: Domain) -> tuple[Any, ...]:
    """The files, and what each published version says, the newest first: all but ids and times."""
    directory = schemas.settled(domain)
    versions = [sorted(one.version.schemas.items()) for one in published.chain(directory)]
    files = sorted((name, data.decode()) for name, data in schemas.read_files(directory).items())
    return json.dumps([versions, files]), len(versions)


def _shape(event: Any) -> str:
    payload = json.dumps(event.payload, sort_keys=True)
    if len(payload) > 80:
        payload = f"{len(payload)}:{crc32(payload.encode()):x}"
    return f"{event.aggregate_type}/{event.aggregate_id}@{event.version} {event.event_type} {payload}"


def verify(where: Path) -> None:
    """The same events, roots and commits through the index that was there, one made anew, and an independent reader."""
    before = observe(where)
    if before.active is None:
        return
    for path in (where / "work" / ".dbx" / "domains").glob("*/index.db*"):
        path.unlink()
    assert observe(where) == before
    for name, state in before.domains.items():
        log = reader.read(where / "work" / ".dbx" / "domains" / name, data_keys(where))
        assert sorted(log.commit_ids) == list(state.commits)
        assert len(log.events) == len(state.events)
        roots = {f"{kind}/{one} {root}" for (kind, one), root in log.roots.items()}
        assert roots == {re.sub("@[0-9]+ ", " ", text) for text in state.roots}


def data_keys(where: Path) -> dict[bytes, bytes]:
    """What opens sealed bodies, with whichever DEK an interrupted rotation has left in force."""
    keys = where / "work" / ".dbx" / "keys"
    if not (keys / "keyring.yaml").exists():
        return {}
    for name in ("dek", "dek.next"):
        with suppress(InvalidTag, FileNotFoundError):
            return reader.data_keys((keys / "keyring.yaml").read_text(), b64decode((keys / name).read_text()))
    raise AssertionError("no DEK opens the keyring")


def assert_unlocked(where: Path) -> None:
    """Nobody holds a lock of the repository."""
    for path in (where / "work").rglob("*lock"):
        with open(path, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def assert_grew(earlier: State, later: State, *, reorders: bool = False) -> None:
    """Every commit of `earlier` is still there, byte for byte, in the domains that still exist.

    Where commits may have been made anew behind others (`reorders`), it is every event.
    """
    for name, was in earlier.domains.items():
        now = later.domains.get(name)
        if now is not None and now.id == was.id:
            if reorders:
                assert set(was.log) <= set(now.log)
                continue
            assert now.log[: len(was.log)] == was.log
            assert set(was.commits) <= set(now.commits)
