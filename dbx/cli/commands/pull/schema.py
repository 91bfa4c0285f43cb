"""Bring the published schemas of a remote, and nothing else."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import access, counted, reach_options, remote_argument
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.cli.transfers import fetched_value


@define()
@remote_argument
@reach_options
@pass_invocation
def command(invocation: Invocation, remote: str | None, token: str | None, token_file: str | None) -> None:
    from dbx.ops.fetch import pull_schemas
    from dbx.ops.remote import find_way

    with session(invocation) as opened:
        meant, name = find_way(opened, remote)
        done = pull_schemas(meant, name, access(invocation, token, token_file))
    where = f"remote '{done.remote}' ({escape(done.url)})"
    line = f"Pulled {counted(done.schemas, 'schema version')} from {where}."
    if done.up_to_date:
        line = f"The schemas of domain '{done.domain}' are already up to date with {where}."
    emit(invocation, fetched_value(done), [line])
