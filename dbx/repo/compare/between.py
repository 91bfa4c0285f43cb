"""The comparisons: any two sides, two commits of one domain, the head and what is staged."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of
from dbx.crypto.treediff import Change, differing
from dbx.repo.compare.past import BATCH, standings_at, touched_between
from dbx.repo.compare.side import DomainSide
from dbx.repo.compare.trees import Reading, common_task, root_task, work_out
from dbx.repo.compare.values import Common, Difference, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dbx.crypto.prefix import PartialTree
    from dbx.model.event import Event
    from dbx.repo.compare.values import Side, Status
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Index


class Wanted(NamedTuple):
    """Which aggregates are asked about: all, those of a type, or one."""

    type: str | None = None
    id: str | None = None

    def takes(self, standing: Standing) -> bool:
        """Whether an aggregate is asked about."""
        return self.type in (None, standing.type) and self.id in (None, standing.id)


ALL = Wanted()


def compare(a: Side, b: Side, wanted: Wanted = ALL) -> Iterator[Difference]:
    """The aggregates that stand differently in A and B, in the order of their keys.

    Descends only where hashes differ; which version diverged histories part at is found by their subtrees' roots.
    """
    if wanted.type is not None and wanted.id is not None:
        yield from _batch(a, b, [Change(key_of(wanted.type, wanted.id), None, None)], wanted)
        return
    changes = differing(a.view(), b.view())
    while batch := list(islice(changes, BATCH)):
        yield from _batch(a, b, batch, wanted)


def compare_domains(a: Domain, b: Domain, seq_a: int | None = None, seq_b: int | None = None) -> list[Difference]:
    """`compare` of two domains, or of commits of theirs (by seq, the head by default); by type and id.

    What push and pull ask before they refuse: the diverged among these, and the version at which they part.
    """

    def query(side: DomainSide, other: DomainSide) -> list[Difference]:
        return sorted(compare(side, other), key=lambda found: (found.type, found.id))

    return a.read(
        lambda mine, reader: b.read(
            lambda theirs, other: query(DomainSide(mine, reader, seq_a), DomainSide(theirs, other, seq_b))
        )
    )


def compare_commits(
    working: WorkingSet, reader: LogReader, seq_a: int, seq_b: int, wanted: Wanted = ALL
) -> Iterator[Difference]:
    """As `compare`, of two commits of one domain (-1: before the first): looks only at what came between them."""
    low, high = sorted((seq_a, seq_b))
    touched = touched_between(reader, _end(reader, low), _end(reader, high))
    names = {name: found for name, found in touched.items() if wanted.takes(Standing(*name, 1, b""))}
    left = iter(names.items())
    while part := list(islice(left, BATCH)):
        older = dict(standings_at(working.index, reader, {name: found.first - 1 for name, found in part}))
        newer = dict(standings_at(working.index, reader, {name: found.last for name, found in part}))
        for name, _ in part:
            a, b = (older[name], newer[name]) if seq_a <= seq_b else (newer[name], older[name])
            found = _one_sided(a, b)
            if found is not None:
                yield found
            elif a is not None and b is not None:
                yield _judged(a, b, min(a.version, b.version))


def gather_staged(events: Iterable[Event], wanted: Wanted = ALL) -> dict[tuple[str, str], tuple[int, list[bytes]]]:
    """(type, id) of the aggregates that staged events are about, to the version they continue and their leaves."""
    found: dict[tuple[str, str], tuple[int, list[bytes]]] = {}
    for event in events:
        name = event.aggregate_type, event.aggregate_id
        if wanted.takes(Standing(*name, 1, b"")):
            found.setdefault(name, (event.version - 1, []))[1].append(bytes.fromhex(event.hash))
    return found


def compare_staged(index: Index, staged: Mapping[tuple[str, str], tuple[int, list[bytes]]]) -> list[Difference]:
    """The head (A) and what it will be once these staged events are committed (B), by type and id."""
    found = []
    for name, (base, leaves) in sorted(staged.items()):
        row = index.find(*name)
        now = None if row is None else Standing(*name, row.version, row.root, None, row.n)
        version = base + len(leaves)
        if (now.version if now else 0) != base:
            # The aggregate has moved since: what is staged continues a version that is not the last one any more.
            moved = Standing(*name, version, b"")
            found.append(Difference(*name, "diverged", now, moved, min(base, now.version if now else 0)))
            continue
        edge = [] if row is None else merkle.decode_edge(row.edge, row.version)
        merkle.extend(edge, base, leaves)
        then = Standing(*name, version, merkle.edge_root(edge), tuple(edge))
        found.append(_one_sided(now, then) or Difference(*name, "ahead", now, then, base))
    return found


def find_common(a: WorkingSet, b: WorkingSet, seq_a: int, seq_b: int) -> Common | None:
    """The last commit that two domains share, looking no further than these seqs: a chain is alike up to one point."""
    low, high = -1, min(seq_a, seq_b)
    shared: bytes | None = None
    while low < high:
        middle = (low + high + 1) // 2
        mine, theirs = a.index.find_commit(middle), b.index.find_commit(middle)
        if mine is not None and theirs is not None and mine[0] == theirs[0]:
            low, shared = middle, mine[0]
        else:
            high = middle - 1
    return None if shared is None else Common(shared, low)


def _end(reader: LogReader, seq: int) -> int:
    """The position behind the last event of a commit."""
    if seq < 0:
        return 0
    commit = reader.commit(seq).commit
    return commit.position + commit.count


def _batch(a: Side, b: Side, changes: Sequence[Change], wanted: Wanted) -> Iterator[Difference]:
    keys = [change.key for change in changes]
    mine, theirs = a.standings(keys), b.standings(keys)
    found: dict[bytes, Difference] = {}
    both: list[tuple[bytes, Standing, Standing]] = []
    for key in keys:
        left, right = mine.get(key), theirs.get(key)
        one = left or right
        if one is None or not wanted.takes(one) or (left and right and left[:4] == right[:4]):
            continue
        alone = _one_sided(left, right)
        if alone is not None:
            found[key] = alone
        elif left is not None and right is not None:
            both.append((key, left, right))
    found.update(_judge_all(a, b, both))
    for key in keys:
        if key in found:
            yield found[key]


def _judge_all(a: Side, b: Side, both: list[tuple[bytes, Standing, Standing]]) -> Mapping[bytes, Difference]:
    """How aggregates differ that both sides have."""
    reading_a, reading_b = Reading(a), Reading(b)
    found: dict[bytes, Difference] = {}
    tasks: list[Callable[[], Difference]] = []
    keys = []
    for key, left, right in both:
        size = min(left.version, right.version)
        if a.has_trees and b.has_trees:
            alike = common_task(reading_a.tree(left, size), reading_b.tree(right, size))
            tasks.append(lambda left=left, right=right, alike=alike: _judged(left, right, alike()))  # type: ignore[misc]
            keys.append(key)
        elif left.version == right.version:
            found[key] = Difference(left.type, left.id, "diverged", left, right, None)
        elif a.has_trees and right.version < left.version:
            tasks.append(_by_root(reading_a.tree(left, size), left, right, right.root))
            keys.append(key)
        elif b.has_trees and left.version < right.version:
            tasks.append(_by_root(reading_b.tree(right, size), left, right, left.root))
            keys.append(key)
        else:
            found[key] = Difference(left.type, left.id, _by_version(left, right), left, right, None, certain=False)
    found.update(zip(keys, work_out(tasks), strict=True))
    return found


def _by_root(tree: PartialTree, a: Standing, b: Standing, root: bytes) -> Callable[[], Difference]:
    """A task: does the longer history, of which `tree` is known, begin with the shorter, of which the root is?"""
    size = min(a.version, b.version)
    task = root_task(tree, size)
    return lambda: _judged(a, b, size) if task() == root else Difference(a.type, a.id, "diverged", a, b, None)


def _one_sided(a: Standing | None, b: Standing | None) -> Difference | None:
    if a is None and b is not None:
        return Difference(b.type, b.id, "added", None, b, 0)
    if b is None and a is not None:
        return Difference(a.type, a.id, "removed", a, None, 0)
    return None


def _judged(a: Standing, b: Standing, common: int) -> Difference:
    status: Status = "diverged" if common < min(a.version, b.version) else _by_version(a, b)
    return Difference(a.type, a.id, status, a, b, common)


def _by_version(a: Standing, b: Standing) -> Status:
    return "ahead" if b.version > a.version else "behind"
