"""Make a repository."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict
from dbx.repo.repository import DEFAULT, NAME, Repository

if TYPE_CHECKING:
    from dbx.model.time import Clock


class Initialised(NamedTuple):
    """A repository that is there now; `created` says whether it was made just now."""

    path: str
    domain: str
    created: bool


def init(path: str, *, domain: str | None, clock: Clock, wait_s: float) -> Initialised:
    """Make `.dbx` in the directory `path`, which may be `.dbx` itself. Where there is one already, nothing changes.

    Raises Conflict when there is one already, without the domain that was asked for.
    """
    path = os.path.abspath(path)
    if os.path.basename(path) == NAME:
        path = os.path.dirname(path)
    repository, created = Repository.init(path, clock=clock, domain=domain or DEFAULT, wait_s=wait_s)
    try:
        if domain is not None and domain not in repository.domain_names():
            raise Conflict(
                f"'{repository.path}' is a repository already, and has no domain '{domain}'",
                hint=f"make it with 'dbx checkout -c {domain}'",
            )
        return Initialised(repository.path, repository.active, created)
    finally:
        repository.close()
