"""Show where a remote is, and where its history stood when it was last fetched."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import remote_argument, shown_value
from dbx.cli.render import emit, fields
from dbx.cli.session import session


@define()
@remote_argument
@pass_invocation
def command(invocation: Invocation, remote: str | None) -> None:
    from dbx.ops.remote import show_remote

    with session(invocation) as opened:
        found = show_remote(opened, remote)
    value = shown_value(found)
    shown = {
        **value,
        "head": value["head"]["id"] if value["head"] else None,
        "token": "stored" if found.token else "none",
    }
    emit(invocation, value, fields(shown))
