"""How two histories stand to each other: by seqs and commit ids, never by the names of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from dbx.errors import NotFound
from dbx.formats.bundle import START
from dbx.remotes.promises import shown_roots
from dbx.repo.replica.histories import Parted, Root, Wanted, find_parting, list_roots, prefix_roots
from dbx.repo.replica.offer import commit_ids, point_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.bundle import Point
    from dbx.remotes.base import Transport
    from dbx.repo.domain import Domain

_AT_ONCE = 31
_ROOTS_AT_ONCE = 500


class Relation(NamedTuple):
    """`kind` says how the other side's head stands to ours; `common` is the last commit that both have.

    same; ahead: they have more; behind: they lack some; diverged: both have commits of their own.
    """

    kind: Literal["same", "ahead", "behind", "diverged"]
    common: Point


class Comparison(NamedTuple):
    """Aggregates by version and root: those that the other side has further, those that we have, and those that differ.

    Each `Wanted` is an aggregate with the version that the side which lacks events is at. `same` counts those that are
    equal, `events` what we lack. `shown` is what the other side says that it has, and `given` how many events it lacks.
    """

    theirs: list[Wanted]
    ours: list[Wanted]
    parted: list[Parted]
    same: int
    events: int
    shown: dict[tuple[str, str], Root]
    given: int = 0


def relate(domain: Domain, mine: Point, transport: Transport, theirs: Point) -> Relation:
    """Compare two heads. It asks the other side for a few ids where one is not simply an older state of the other."""
    if mine == theirs:
        return Relation("same", mine)
    if theirs.seq < 0:
        return Relation("behind", START)
    if mine.seq < 0:
        return Relation("ahead", START)
    if theirs.seq <= mine.seq and commit_ids(domain, [theirs.seq]) == [theirs.commit]:
        return Relation("behind", point_at(domain, theirs.seq))
    if theirs.seq > mine.seq and transport.commit_ids([mine.seq]) == [mine.commit]:
        return Relation("ahead", mine)
    # Up to `low` both are the same, at `high` they are not.
    low, high = -1, min(mine.seq, theirs.seq)
    while high - low > 1:
        step = max(1, (high - low) // (_AT_ONCE + 1))
        seqs = list(range(low + step, high, step))[: _AT_ONCE + 1]
        for seq, ours, other in zip(seqs, commit_ids(domain, seqs), transport.commit_ids(seqs), strict=True):
            if ours is None or ours != other:
                high = seq
                break
            low = seq
    return Relation("diverged", point_at(domain, low))


def compare_aggregates(
    domain: Domain, transport: Transport, aggregate_type: str | None, aggregate_id: str | None
) -> Comparison:
    """Compare the aggregates of a type, or one, or all of them, by version and root, and see which may be extended.

    Raises Corrupt, with `received` in its details, where the other side shows what was not asked for.
    """
    mine = {(root[0], root[1]): root for root in list_roots(domain, aggregate_type, aggregate_id)}
    theirs = shown_roots(transport, aggregate_type, aggregate_id)
    behind: list[tuple[Root, Root]] = []
    ahead: list[tuple[Root, Root]] = []
    found = Comparison([], [], [], 0, 0, theirs)
    same = 0
    for name, other in theirs.items():
        own = mine.get(name)
        if own is None:
            found.theirs.append(Wanted(*name, 0))
        elif own.version < other.version:
            behind.append((own, other))
        elif own.version > other.version:
            ahead.append((own, other))
        elif own.root != other.root:
            found.parted.append(_part(domain, transport, own, other))
        else:
            same += 1
    found.ours.extend(Wanted(*name, 0) for name in mine if name not in theirs)
    for at in range(0, len(behind), _ROOTS_AT_ONCE):
        pairs = behind[at : at + _ROOTS_AT_ONCE]
        roots = transport.prefix_roots([Wanted(*own[:3]) for own, _ in pairs])
        _judge(domain, transport, pairs, roots, [own.root for own, _ in pairs], found.theirs, found.parted)
    for at in range(0, len(ahead), _ROOTS_AT_ONCE):
        pairs = ahead[at : at + _ROOTS_AT_ONCE]
        roots = prefix_roots(domain, [Wanted(*other[:3]) for _, other in pairs])
        _judge(domain, transport, pairs, roots, [other.root for _, other in pairs], found.ours, found.parted)
    events = sum(theirs[one[0], one[1]].version - one.version for one in found.theirs)
    given = sum(mine[one[0], one[1]].version - one.version for one in found.ours)
    return found._replace(same=same, events=events, given=given)


def refuse_nothing(found: Comparison, mine: str, remote: str, aggregate_type: str, aggregate_id: str | None) -> None:
    """Raises NotFound where neither side has any of what is asked for: it is a slip of who typed it."""
    if not (found.theirs or found.ours or found.same or found.parted):
        what = aggregate_type if aggregate_id is None else f"{aggregate_type}/{aggregate_id}"
        raise NotFound(
            f"neither domain '{mine}' nor the remote '{remote}' has an aggregate '{what}'",
            hint="see 'dbx aggregate list'",
        )


def _judge(
    domain: Domain,
    transport: Transport,
    pairs: Sequence[tuple[Root, Root]],
    found: Sequence[str | None],
    expected: Sequence[str],
    lacking: list[Wanted],
    differ: list[Parted],
) -> None:
    for (own, other), root, due in zip(pairs, found, expected, strict=True):
        if root == due:
            lacking.append(Wanted(own[0], own[1], min(own.version, other.version)))
        else:
            differ.append(_part(domain, transport, own, other))


def _part(domain: Domain, transport: Transport, own: Root, other: Root) -> Parted:
    """The version from which two histories of an aggregate differ."""

    def same(version: int) -> bool:
        wanted = [Wanted(own[0], own[1], version)]
        return prefix_roots(domain, wanted) == transport.prefix_roots(wanted)

    version = find_parting(min(own.version, other.version), same)
    return Parted(own[0], own[1], version, own.version, other.version)
