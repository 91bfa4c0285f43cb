"""The writer's lock, and what is done before and behind whatever is written under it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.repo.log import ERASING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.working import WorkingSet

FLUSH_COMMITS = 4096
"""With so many commits the index may lag behind the log."""


@contextmanager
def writing(domain: Domain) -> Iterator[WorkingSet]:
    """The writer's lock, and the working set at the log's head. On any error memory is dropped: the log decides."""
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            if domain.sync().pending >= FLUSH_COMMITS:
                domain.flush()
            yield catch_up(domain)
            if domain.directory.exists(ERASING):
                catch_up(domain, erasing=True)
        except BaseException:
            domain.reset()
            raise
        finally:
            domain.lock.release()


def catch_up(domain: Domain, *, erasing: bool = False) -> WorkingSet:
    """The working set, once an erasure that was only begun is finished. The lock must be held."""
    working = domain.sync()
    if erasing or domain.is_erasing:
        from dbx.repo.upkeep.purge import finish_quietly

        finish_quietly(domain)
        working = domain.sync()
    return working
