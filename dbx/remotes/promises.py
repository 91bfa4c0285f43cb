"""Holding a remote to what was asked of it, and to what it showed: aggregates by version and root, then their events.

What is wrong with the events themselves shows when they are taken in; here it is whether they are the right ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid
from dbx.model import names
from dbx.repo.replica.histories import read_announcement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbx.remotes.base import Transport
    from dbx.repo.replica.histories import Root, Wanted

    Name = tuple[str, str]


def shown_roots(transport: Transport, aggregate_type: str | None, aggregate_id: str | None) -> dict[Name, Root]:
    """The aggregates that a remote shows of those that are asked for, each once.

    Raises Corrupt, with `received` in its details, where it shows others.
    """
    shown: dict[Name, Root] = {}
    for root in transport.roots(aggregate_type, aggregate_id):
        name = root.aggregate_type, root.aggregate_id
        try:
            names.check_type(name[0])
            names.check_id(name[1])
        except Invalid as error:
            raise _broken(f"it shows an aggregate with a name that is none: {error.message}") from None
        if aggregate_type not in (None, name[0]) or aggregate_id not in (None, name[1]):
            raise _broken(f"it shows aggregate '{name[0]}/{name[1]}', which was not asked for")
        if name in shown:
            raise _broken(f"it shows aggregate '{name[0]}/{name[1]}' twice")
        shown[name] = root
    return shown


def promised(lines: Iterable[bytes], wanted: Sequence[Wanted], shown: Mapping[Name, Root]) -> Iterator[bytes]:
    """The lines of a remote's answer (repo.replica.histories), as long as they are what was asked for, all of it.

    Raises Corrupt, with `received` in its details, for aggregates that were not wanted, that begin elsewhere, that are
    older than the remote had shown, or of which nothing came.
    """
    due = {(one.aggregate_type, one.aggregate_id): one.version for one in wanted}
    coming = iter(lines)
    for line in coming:
        try:
            root, after = read_announcement(line)
        except Invalid as error:
            raise _broken(f"it sent an aggregate with a name that is none: {error.message}") from None
        name = root.aggregate_type, root.aggregate_id
        if due.pop(name, None) != after:
            raise _broken(f"it sent events of aggregate '{name[0]}/{name[1]}' that were not asked for")
        was = shown[name]
        if root.version < was.version or (root.version == was.version and root.root != was.root):
            raise _broken(f"it sent another history of aggregate '{name[0]}/{name[1]}' than it had shown")
        yield line
        for _ in range(after, root.version):
            event = next(coming, None)
            if event is None:
                raise _broken("the transfer was cut short")
            yield event
    for name in due:
        raise _broken(f"it sent nothing of aggregate '{name[0]}/{name[1]}', which it had shown")


def _broken(why: str) -> Corrupt:
    return Corrupt(why, details={"received": True})
