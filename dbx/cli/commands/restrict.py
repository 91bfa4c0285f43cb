"""Show or set what is asked of events: off, default or strict."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, note
from dbx.cli.session import session


@define()
@click.argument("mode", metavar="[off|default|strict]", required=False)
@click.option("--unset", is_flag=True, help="Back to the default.")
@pass_invocation
def command(invocation: Invocation, mode: str | None, unset: bool) -> None:
    from dbx.errors import UsageError
    from dbx.ops.config import change_settings, get_setting

    if mode is not None and unset:
        raise UsageError("'--unset' stands alone")
    with session(invocation) as opened:
        name = opened.domain.name
        if mode is not None or unset:
            change_settings(opened, {} if mode is None else {"restrict": mode}, ["restrict"] if unset else [])
        found = get_setting(opened, "restrict")
        forced = opened.repository.restrict
    shown = forced if forced is not None and mode is None and not unset else found.value
    emit(invocation, {"domain": name, "restrict": shown, "set": found.is_set}, [f"restrict={shown}"])
    if forced is not None and forced != found.value:
        note(invocation, f"DBX_RESTRICT says '{forced}', and goes before the setting, which is '{found.value}'")
