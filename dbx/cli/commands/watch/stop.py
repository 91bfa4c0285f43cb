"""End a domain's watcher."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.watching import choose_domain


@define()
@click.argument("name", metavar="[DOMAIN]", required=False, type=params.DOMAIN)
@pass_invocation
def command(invocation: Invocation, name: str | None) -> None:
    from dbx.ops.watching import stop

    choose_domain(invocation, name)
    with session(invocation, acts=False) as opened:
        domain = opened.domain.name
        pid = stop(opened, invocation.wait_s)
    line = f"No watcher of domain '{domain}' is running."
    if pid is not None:
        line = f"Stopped the watcher of domain '{domain}', process {pid}."
    emit(invocation, {"domain": domain, "stopped": pid is not None, "pid": pid}, [line])
