"""Take the events of another domain over into this one, all or nothing."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import counted
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.option("--from", "source", metavar="DOMAIN", required=True, type=params.DOMAIN, help="The domain to take from.")
@click.option("--into", metavar="DOMAIN", type=params.DOMAIN, help="Merge into this domain, not the checked-out one.")
@click.option("--dry-run", is_flag=True, help="Say what would be merged, and merge nothing.")
@pass_invocation
def command(invocation: Invocation, source: str, into: str | None, dry_run: bool) -> None:
    from dbx.ops.merge import merge

    with session(invocation) as opened, progress(invocation, None, "merging") as bar:
        target = opened if into is None else opened._replace(domain_name=into)
        done = merge(target, source, dry_run=dry_run, progress=bar.update)
    what = f"{counted(done.events, 'event')} of {counted(done.aggregates, 'aggregate')}"
    if not done.aggregates:
        lines = [f"Domain '{done.into}' has all of domain '{done.source}' already."]
    elif dry_run:
        lines = [f"Would merge {what} from domain '{done.source}' into '{done.into}'."]
    else:
        commit = (done.commit or "")[:12]
        lines = [f"Merged {what} from domain '{done.source}' into '{done.into}', in commit {commit}."]
    emit(invocation, done._asdict(), lines)
