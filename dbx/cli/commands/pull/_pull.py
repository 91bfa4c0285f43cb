"""Bring what a remote has into our history."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import access, aggregate_options, check_aggregate, reach_options, remote_argument
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.transfers import fetched_lines, fetched_value, pulled_aggregates_lines
from dbx.errors import UsageError


@define()
@remote_argument
@aggregate_options
@click.option("--dry-run", is_flag=True, help="With --aggregate: say what would be done, and do nothing.")
@reach_options
@pass_invocation
def command(
    invocation: Invocation,
    remote: str | None,
    aggregate_type: str | None,
    aggregate_id: str | None,
    dry_run: bool,
    token: str | None,
    token_file: str | None,
) -> None:
    from dbx.ops.fetch import pull, pull_aggregates

    check_aggregate(aggregate_type, aggregate_id)
    if dry_run and aggregate_type is None:
        raise UsageError("'--dry-run' goes with '--aggregate'", hint="to see what would come, run 'dbx fetch'")
    with session(invocation) as opened, progress(invocation, None, "checking") as bar:
        way = access(invocation, token, token_file, bar)
        if aggregate_type is None:
            done = pull(opened, remote, way)
            emit(invocation, fetched_value(done), fetched_lines(done, "Pulled"))
            return
        some = pull_aggregates(opened, remote, aggregate_type, aggregate_id, way, dry_run=dry_run)
        emit(invocation, some._asdict(), pulled_aggregates_lines(some))
