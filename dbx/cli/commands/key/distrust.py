"""Believe a key of somebody else no longer."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("key_id", metavar="KEY_ID")
@pass_invocation
def command(invocation: Invocation, key_id: str) -> None:
    from dbx.ops.key import distrust_key

    with session(invocation) as opened:
        key = distrust_key(opened, key_id)
    emit(invocation, {"name": key.name, "key_id": key.key_id.hex()}, [f"trusts '{key.name}' no longer"])
