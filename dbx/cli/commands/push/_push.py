"""Hand our commits over to a remote, fast-forward only."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import access, check_aggregate, transfer_options
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.transfers import pushed_aggregates_lines, pushed_lines, pushed_value


@define()
@transfer_options("Say what would be pushed, and push nothing.")
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
    from dbx.ops.push import push, push_aggregates
    from dbx.ops.remote import find_way

    check_aggregate(aggregate_type, aggregate_id)
    with session(invocation) as opened, progress(invocation, None, "checking") as bar:
        meant, name = find_way(opened, remote)
        way = access(invocation, token, token_file, bar)
        if aggregate_type is None:
            done = push(meant, name, way, dry_run=dry_run)
            emit(invocation, pushed_value(done), pushed_lines(done))
            return
        some = push_aggregates(meant, name, aggregate_type, aggregate_id, way, dry_run=dry_run)
        emit(invocation, {**some._asdict(), "up_to_date": not some.aggregates}, pushed_aggregates_lines(some))
