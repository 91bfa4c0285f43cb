"""Show what a domain's watcher does, and what its last cycle did."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, fields
from dbx.cli.session import session
from dbx.cli.watching import choose_domain, watched_value
from dbx.errors import UsageError


@define()
@click.argument("name", metavar="[DOMAIN]", required=False, type=params.DOMAIN)
@click.option("--all", "everything", is_flag=True, help="The watchers of every domain.")
@pass_invocation
def command(invocation: Invocation, name: str | None, everything: bool) -> None:
    from dbx.ops.watching import status, status_of_all

    if everything and name is not None:
        raise UsageError("give a domain or '--all', not both")
    choose_domain(invocation, name)
    with session(invocation, acts=False) as opened:
        found = status_of_all(opened) if everything else [status(opened)]
    values = [watched_value(one) for one in found]
    lines: list[str] = []
    for value in values:
        lines += [*([""] if lines else []), *fields(value)]
    emit(invocation, values, lines or ["No domain has been watched."])
