"""Print the index root: one hash over every aggregate's history."""

from __future__ import annotations

import click

from dbx.cli.complete import complete_source
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("source", metavar="[DOMAIN][@REF]", required=False, shell_complete=complete_source)
@pass_invocation
def command(invocation: Invocation, source: str | None) -> None:
    from dbx.ops.root import root

    with session(invocation) as opened:
        name, found = root(opened, source)
    document = {
        "domain": name,
        "root": found.root,
        "commit": found.commit,
        "seq": found.seq if found.commit else None,
        "events": found.events,
        "aggregates": found.aggregates,
    }
    emit(invocation, document, [found.root])
