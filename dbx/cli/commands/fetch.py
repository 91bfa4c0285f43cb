"""Bring what a remote has, and leave our own history where it is."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import access, reach_options, remote_argument
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.transfers import fetched_lines, fetched_value


@define()
@remote_argument
@reach_options
@pass_invocation
def command(invocation: Invocation, remote: str | None, token: str | None, token_file: str | None) -> None:
    from dbx.ops.fetch import fetch
    from dbx.ops.remote import find_way

    with session(invocation) as opened, progress(invocation, None, "checking") as bar:
        meant, name = find_way(opened, remote)
        done = fetch(meant, name, access(invocation, token, token_file, bar))
    emit(invocation, fetched_value(done), fetched_lines(done, "Fetched"))
