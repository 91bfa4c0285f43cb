"""Believe what a key of somebody else signs.

A key with which a witness cosigns is told from one that signs by itself.
"""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("vkey", metavar="VKEY")
@pass_invocation
def command(invocation: Invocation, vkey: str) -> None:
    from dbx.formats.note import COSIGNATURE, format_vkey
    from dbx.ops.key import trust_key

    with session(invocation) as opened:
        key = trust_key(opened, vkey)
    role = "witness" if key.algorithm == COSIGNATURE else "trusted"
    document = {"name": key.name, "key_id": key.key_id.hex(), "role": role, "vkey": format_vkey(key)}
    emit(invocation, document, [f"trusts '{key.name}' as {'a witness' if role == 'witness' else 'a signer'}"])
