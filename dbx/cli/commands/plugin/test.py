"""Send a sample to plugins, and see whether they take it."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import PLUGIN, line_out
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape


@define()
@click.argument("names", metavar="[PLUGIN]…", nargs=-1, type=PLUGIN)
@pass_invocation
def command(invocation: Invocation, names: tuple[str, ...]) -> int:
    from dbx.ops.plugin import test

    with session(invocation) as opened:
        tested = test(opened, names, line_out)
    good = sum(one.error is None for one in tested)
    document = {
        "tested": len(tested),
        "succeeded": good,
        "failed": len(tested) - good,
        "plugins": [
            {"name": one.plugin.name, "kind": one.plugin.kind, "ok": one.error is None, "error": one.error}
            for one in tested
        ],
    }
    lines = [
        f"{one.plugin.label} - ok" if one.error is None else f"{one.plugin.label} - FAILED ({escape(one.error)})"
        for one in tested
    ]
    lines.append(f"Tested {len(tested)} plugin(s): {good} succeeded, {len(tested) - good} failed")
    emit(invocation, document, lines if tested else ["(no plugins enabled)"])
    return int(good < len(tested))
