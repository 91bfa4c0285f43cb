"""Forget a remote, and the token for it."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import REMOTE
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape


@define()
@click.argument("name", metavar="NAME", type=REMOTE)
@pass_invocation
def command(invocation: Invocation, name: str) -> None:
    from dbx.ops.remote import remove

    with session(invocation) as opened:
        gone = remove(opened, name)
    document = {"name": gone.name, "url": gone.url, "removed": True}
    emit(invocation, document, [f"Removed the remote '{gone.name}': {escape(gone.url)}"])
