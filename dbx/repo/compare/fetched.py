"""A remote's history as it was fetched, behind our own: a domain that stands in for the remote's, only to be read.

The files are those of our domain. The remote-tracking ref takes the place of the branch, no journal continues it, and
the index is made in memory: looking into it costs what indexing that history costs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbx.repo.compare.tracking import find_base, find_tracked
from dbx.repo.domain import Domain
from dbx.repo.log import MAIN
from dbx.store.fs import Directory
from dbx.store.journal import PREFIX
from dbx.store.reflog import LOGS

if TYPE_CHECKING:
    from dbx.formats.refs import Ref


class _Tracked(Directory):
    """The directory of a domain in which a remote-tracking ref stands for the branch."""

    __slots__ = ("_ref",)

    def __init__(self, domain: Domain, ref: str) -> None:
        super().__init__(domain.directory.path)
        self._ref = ref

    def path_of(self, name: str) -> str:
        """The path of an entry."""
        return super().path_of(self._ref if name == MAIN else name)

    def open_read(self, name: str) -> int:
        """As of every directory. Journals, and what the branch's reflog tells, are about another history."""
        if name.startswith(PREFIX) or name == f"{LOGS}/{MAIN}":
            raise FileNotFoundError(name)
        return super().open_read(self._ref if name == MAIN else name)


def find_fetched(domain: Domain, text: str) -> tuple[Domain, str] | None:
    """(the history that a remote showed, the ref in it) for `origin/main~2` where our own history lacks that commit.

    None for any other ref. What is returned is closed with the domain, and nothing may be written through it.
    """
    base = re.split(r"[~^]", text, maxsplit=1)[0]
    track = find_tracked(domain, base)
    if track is None:
        return None
    name = _name_of(base)
    held = domain.beside.get(name)
    if held is None:
        held = domain.beside[name] = _open(domain, name)
    return held, "HEAD" + text[len(base) :]


def find_common_seq(domain: Domain, remote: Domain) -> int:
    """The seq of the last commit that a domain and a history which `find_fetched` gave both have, -1 for none."""
    track: Ref | None = find_tracked(domain, next(name for name, held in domain.beside.items() if held is remote))
    if track is None:
        return domain.read(lambda working, _: working.head.seq)
    return domain.read(lambda working, _: find_base(working, domain.directory, track))


def _name_of(base: str) -> str:
    return "refs/remotes/" + base.removeprefix("refs/").removeprefix("remotes/")


def _open(domain: Domain, ref: str) -> Domain:
    held = Domain(
        _Tracked(domain, ref),
        domain.name,
        clock=domain.clock,
        entropy=domain.entropy,
        wait_s=domain.wait_s,
        progress=domain.progress,
        vault=domain.vault,
    )
    held.access = domain.access
    held.use_memory()
    return held
