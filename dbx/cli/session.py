"""Opens the session that a command works in, and closes it, whatever happens."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.ops.session import Session, Who, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.cli.context import Invocation


@contextmanager
def session(invocation: Invocation, *, progress: Callable[[int], None] | None = None) -> Iterator[Session]:
    """The repository, the domain and the actor of this command."""
    safe = invocation.environment.get("DBX_SAFE_DIRECTORIES", "").split(os.pathsep)
    opened = open_session(
        invocation.start_dir,
        dbx_dir=invocation.dbx_dir,
        domain=invocation.domain,
        who=who_of(invocation),
        clock=invocation.clock,
        wait_s=invocation.wait_s,
        safe=[path for path in safe if path],
        progress=progress,
    )
    try:
        yield opened
    finally:
        opened.close()


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
