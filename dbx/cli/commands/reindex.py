"""Build the index anew from the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit, pairs
from dbx.cli.session import session

if TYPE_CHECKING:
    from typing import Any

    from dbx.ops.reindex import Loss


@define()
@click.option("--accept-loss", is_flag=True, help="Go on although commits that were there before are gone.")
@pass_invocation
def command(invocation: Invocation, accept_loss: bool) -> None:
    from dbx.ops.reindex import reindex

    with session(invocation) as opened, progress(invocation, None, "indexing") as bar:
        name, done = reindex(opened, accept_loss=accept_loss, progress=bar.update)
    document = {
        "domain": name,
        "commit": done.commit,
        "seq": done.seq if done.commit else None,
        "events": done.events,
        "aggregates": done.aggregates,
        "lost": _lost_value(done.loss) if done.loss else None,
    }
    shown = pairs({"commits": done.seq + 1, "events": done.events, "aggregates": done.aggregates})
    emit(invocation, document, [f"indexed {shown}", *(_lost_lines(done.loss) if done.loss else [])])


def _lost_value(loss: Loss) -> dict[str, Any]:
    return {
        "first": loss.first,
        "last": loss.last,
        "commits": loss.commits,
        "last_commit": loss.last_commit,
        "events": loss.events,
        "aggregate_count": loss.aggregate_count,
        "aggregates": None if loss.aggregates is None else [one._asdict() for one in loss.aggregates],
    }


def _lost_lines(loss: Loss) -> list[str]:
    lost: dict[str, object] = {"first": loss.first, "last": loss.last, "last_commit": loss.last_commit}
    if loss.events is not None:
        lost["events"] = loss.events
        lost["aggregates"] = loss.aggregate_count
    lines = [f"lost {pairs(lost)}"]
    for one in loss.aggregates or []:
        name = {"aggregate_type": one.aggregate_type, "aggregate_id": one.aggregate_id}
        lines.append(f"lost {pairs({**name, 'was': one.was, 'version': one.version})}")
    return lines
