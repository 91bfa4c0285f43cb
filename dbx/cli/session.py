"""Opens the session that a command works in, and closes it, whatever happens."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.cli.dek import find_dek
from dbx.errors import DbxError, Denied, Invalid, NotFound
from dbx.ops.session import Credential, Session, Who, open_session

_ABOUT_TOKENS = ("token.check", "token.show", "token.refresh", "token.revoke")

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
        credential=_credential(invocation),
        find_dek=find_dek(invocation),
    )
    try:
        yield opened
    finally:
        opened.close()


def admitted(invocation: Invocation, where: str) -> None:
    """Hold a command that replaces the workspace in the directory `where` to its token. Raises Denied."""
    if not os.path.isdir(os.path.join(where, ".dbx")):
        return
    try:
        opened = open_session(
            where,
            dbx_dir=None,
            domain=None,
            who=Who(None, None, ""),
            clock=invocation.clock,
            wait_s=invocation.wait_s,
            credential=_credential(invocation),
        )
    except Denied:
        raise
    except DbxError:
        return  # it is damaged: that is what backups are for
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


def _credential(invocation: Invocation) -> Credential:
    """The token that the command is to act with, and what it is about.

    Commands that have a '--token' of their own mean a remote's by it, or one that they look at; there the environment's
    may be meant either way.
    """
    from dbx.cli import params

    own = "token" in invocation.parameters
    given, file = (None, None) if own else (invocation.token, invocation.token_file)
    text: str | None = None
    try:
        if not invocation.command.startswith(_ABOUT_TOKENS):
            text = params.find_secret(invocation, given, file, "DBX_TOKEN")
        elif given is not None or file is not None:
            text = params.find_secret(invocation, given, file, "")
    except Invalid as error:
        raise Denied(error.message) from None
    named = (*(invocation.parameters.get("words") or ()), None, None)
    kind = invocation.parameters.get("aggregate_type")
    name = invocation.parameters.get("aggregate_id")
    if "words" in invocation.parameters:
        left = iter(named)
        kind = next(left) if kind is None else kind
        name = next(left) if name is None else name
    return Credential(text, invocation.command, (kind, name), foreign=own, cross=invocation.cross_env)


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
