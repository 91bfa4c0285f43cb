"""List the remotes of the domain."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import shown_value
from dbx.cli.render import emit, table
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.remote import list_all

    with session(invocation) as opened:
        found = list_all(opened)
    rows = [[one.name, one.url, one.domain or ""] for one in found]
    emit(invocation, [shown_value(one) for one in found], table(rows) if rows else ["no remotes"])
