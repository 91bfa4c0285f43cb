"""Opens the session that a command works in, and closes it, whatever happens."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Invalid, NotFound
from dbx.ops.session import Session, Who, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.cli.context import Invocation


@contextmanager
def session(
    invocation: Invocation, *, progress: Callable[[int], None] | None = None, acts: bool = True
) -> Iterator[Session]:
    """The repository, the domain and the actor of this command; without `acts` nobody is looked up as the actor."""
    safe = invocation.environment.get("DBX_SAFE_DIRECTORIES", "").split(os.pathsep)
    opened = open_session(
        invocation.start_dir,
        dbx_dir=invocation.dbx_dir,
        domain=invocation.domain,
        who=who_of(invocation) if acts else Who(None, None, ""),
        clock=invocation.clock,
        wait_s=invocation.wait_s,
        safe=[path for path in safe if path],
        progress=progress,
        restrict=invocation.restrict,
    )
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def session_if_any(invocation: Invocation) -> Iterator[Session | None]:
    """`session`, for commands that only read and also work outside of any repository: there it is None.

    They open no socket, which looking up the operating system's user might.
    """
    try:
        opened = session(invocation, acts=False)
        inner = opened.__enter__()
    except NotFound:
        if invocation.dbx_dir is not None:
            raise
        yield None
        return
    try:
        yield inner
    finally:
        inner.close()


def who_of(invocation: Invocation) -> Who:
    """What DBX_ACTOR says, and the user of the operating system."""
    from dbx.formats.envelope import is_actor_text

    group, user = invocation.actor or (None, None)
    if not all(part is None or is_actor_text(part) for part in (group, user)):
        raise Invalid("DBX_ACTOR must be 'group:user', each of 1 to 128 characters without control characters")
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        account = f"uid-{os.geteuid()}"
    return Who(group, user, account)
