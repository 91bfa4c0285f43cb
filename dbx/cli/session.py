"""Opens the session that a command works in, and closes it, whatever happens."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.ops.session import Session, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.cli.context import Invocation
    from dbx.formats.envelope import Actor

GROUP = "local"
"""The group of an actor that names none."""


@contextmanager
def session(invocation: Invocation, *, progress: Callable[[int], None] | None = None) -> Iterator[Session]:
    """The repository, the domain and the actor of this command."""
    safe = invocation.environment.get("DBX_SAFE_DIRECTORIES", "").split(os.pathsep)
    opened = open_session(
        invocation.start_dir,
        dbx_dir=invocation.dbx_dir,
        domain=invocation.domain,
        actor=actor_of(invocation),
        clock=invocation.clock,
        wait_s=invocation.wait_s,
        safe=[path for path in safe if path],
        progress=progress,
    )
    try:
        yield opened
    finally:
        opened.close()


def actor_of(invocation: Invocation) -> Actor | None:
    """DBX_ACTOR, else the user of the operating system in the group 'local'."""
    from dbx.formats.envelope import Actor, is_actor_text

    if invocation.actor is not None:
        group, user = invocation.actor
        actor = Actor(GROUP if group is None else group, user)
        if not is_actor_text(actor.group) or not is_actor_text(actor.user):
            raise Invalid("DBX_ACTOR must be 'group:user', each of 1 to 128 characters without control characters")
        return actor
    try:
        return Actor(GROUP, pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return Actor(GROUP, f"uid-{os.geteuid()}")
