"""Give a domain another name. Its id and its history stay."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("old", metavar="OLD", type=params.DOMAIN)
@click.argument("new", metavar="NEW", type=params.DOMAIN)
@pass_invocation
def command(invocation: Invocation, old: str, new: str) -> None:
    from dbx.ops.domain import rename_domain

    with session(invocation) as opened:
        active = rename_domain(opened, old, new)
    emit(invocation, {"domain": new, "was": old, "active": active}, [f"Renamed domain '{old}' to '{new}'."])
