"""What there is to say of a domain without reading its history: where it stands, what is staged, how large it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.batch.staging import find_batch, staged_since
from dbx.repo.log import read_ref
from dbx.store.index import IndexDamaged
from dbx.store.indexsurvey import count_aggregates, count_aggregates_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.refs import Ref
    from dbx.repo.domain import Domain
    from dbx.repo.log import Entry, LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory


_REMOTES = "refs/remotes"


class Staged(NamedTuple):
    """What is staged: the batch's id, its events, and when the first was staged (microseconds since the epoch)."""

    batch: str
    events: int
    since_us: int


class Tracked(NamedTuple):
    """Where a remote stood when we last heard of it: its commit, and how many commits only we or only it had."""

    remote: str
    commit: str
    seq: int
    ahead: int
    behind: int


class Survey(NamedTuple):
    """Where a domain stands.

    `head` is None before the first commit. `journal_bytes` counts what is not in a segment yet; `torn` says that an
    interrupted write follows it, which the next append puts aside. `caught_up` is how many commits the index did not
    have yet; `in_memory`, that it cannot be written.
    """

    head: Entry | None
    events: int
    aggregates: int
    staged: Staged | None
    journal_bytes: int
    torn: bool
    caught_up: int
    in_memory: bool
    remotes: tuple[Tracked, ...] = ()


class Root(NamedTuple):
    """The index root (hex) at a commit; `commit` is None and `seq` -1 before the first."""

    root: str
    commit: str | None
    seq: int
    events: int
    aggregates: int


def survey(domain: Domain) -> Survey:
    """Look at a domain. The work does not grow with its size."""
    with domain.mutex:
        before = _indexed_seq(domain)

        def query(working: WorkingSet, reader: LogReader) -> Survey:
            head = working.head
            return Survey(
                None if head.seq < 0 else reader.commit(head.seq),
                head.position,
                count_aggregates(working.index),
                None,
                head.journal_end,
                domain.torn,
                max(0, head.seq - before),
                domain.in_memory,
            )

        found = domain.read(query)._replace(remotes=tuple(_tracked(domain)))
        batch = find_batch(domain)
        if batch is None:
            return found
        return found._replace(staged=Staged(batch.id, batch.events, staged_since(domain, batch)))


def get_root(domain: Domain, seq: int | None = None) -> Root:
    """The index root at the head, or at an older commit."""

    def query(working: WorkingSet, reader: LogReader) -> Root:
        head = working.head
        if seq is None or seq == head.seq:
            count = count_aggregates(working.index)
            return Root(head.root.hex(), head.commit.hex() or None, head.seq, head.position, count)
        entry = reader.commit(seq)
        end = entry.commit.position + entry.commit.count
        return Root(entry.commit.index, entry.id.hex(), seq, end, count_aggregates_at(working.index, end))

    return domain.read(query)


def count_archived(domain: Domain) -> int:
    """How many aggregates are archived. Looks at every one."""
    return domain.read(lambda working, _: working.index.count()[1])


def measure(domain: Domain) -> int:
    """The bytes of every file of a domain. A segment that a fork shares counts in both."""
    total = 0
    for name in domain.directory.walk():
        try:
            total += domain.directory.stat(name).st_size
        except FileNotFoundError:
            continue  # sealed, merged or checkpointed away since it was listed
    return total


def _tracked(domain: Domain) -> Iterator[Tracked]:
    for name in domain.directory.names(_REMOTES):
        ref = read_ref(domain.directory, f"{_REMOTES}/{name}/main")
        if ref is not None:
            yield domain.read(partial(_compare, domain.directory, name, ref))


def _compare(directory: Directory, remote: str, ref: Ref, working: WorkingSet, _: LogReader) -> Tracked:
    known = working.index.find_commit(ref.seq)
    if known is not None and known[0].hex() == ref.commit:
        return Tracked(remote, ref.commit, ref.seq, working.head.seq - ref.seq, 0)
    from dbx.repo.compare.tracking import find_base

    base = find_base(working, directory, ref)
    return Tracked(remote, ref.commit, ref.seq, working.head.seq - base, ref.seq - base)


def _indexed_seq(domain: Domain) -> int:
    try:
        return domain.index().head().seq
    except IndexDamaged:
        return -1
