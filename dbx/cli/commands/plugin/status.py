"""Show how far plugins are behind, how fast they go, and what went wrong last."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import PLUGIN, say_idle, state_value
from dbx.cli.render import emit, pairs
from dbx.cli.session import session


@define()
@click.argument("names", metavar="[PLUGIN]…", nargs=-1, type=PLUGIN)
@pass_invocation
def command(invocation: Invocation, names: tuple[str, ...]) -> None:
    from dbx.ops.plugin import status
    from dbx.ops.redeliver import unfinished

    with session(invocation) as opened:
        states, runner = status(opened, names)
        replays = [
            [{**one.asked._asdict(), "delivered": one.delivered} for one in unfinished(opened, state.plugin)]
            for state in states
        ]
    values = [{**state_value(state, runner), "replays": cut} for state, cut in zip(states, replays, strict=True)]
    lines = []
    for value in values:
        shown = {key: value[key] for key in ("name", "kind", "enabled")}
        shown["state"] = value["runtime"]["state"]
        for key in ("lag_events", "lag_seconds", "rate", "done", "dead", "last_delivered_at", "last_error"):
            shown[key] = "-" if value[key] is None else value[key]
        if value["replays"]:
            shown["unfinished_replays"] = len(value["replays"])
        lines.append(pairs(shown))
    emit(invocation, values, lines or ["(no plugins configured)"])
    say_idle(invocation, sum(state.behind for state in states if state.plugin.gets_events), runner)
