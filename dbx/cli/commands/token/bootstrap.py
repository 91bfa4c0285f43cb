"""Make a token that may do everything, and store it in the workspace for its owner."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import UsageError


@define()
@click.option("--stdout", "to_stdout", is_flag=True, help="Print it, and store nothing.")
@click.option("--persist", is_flag=True, help="Store it as well as print it.")
@click.option("--ttl", metavar="DURATION", type=params.DURATION, help="How long it lasts (default 2h; 0 for ever).")
@pass_invocation
def command(invocation: Invocation, to_stdout: bool, persist: bool, ttl: int | None) -> None:
    from dbx.cli.tokens import token_value
    from dbx.ops.token import bootstrap_token, cli_token_path

    if persist and not to_stdout:
        raise UsageError("'--persist' goes with '--stdout'; without it the token is stored anyway")
    stored = persist or not to_stdout
    with session(invocation) as opened:
        made, fresh = bootstrap_token(opened, ttl, persist=stored, reuse=stored)
        path = cli_token_path(opened) if stored else None
    document = token_value(made.held, "active", made.text if to_stdout else None) | {"path": path, "created": fresh}
    lines = [made.text] if to_stdout else []
    if not to_stdout and path is not None:
        lines.append(f"Bootstrap token stored at {escape(path)}")
    emit(invocation, document, lines)
