"""Make the key that the workspace signs with, and print its public half.

With --witness, the key that it cosigns others' checkpoints with. With --dek, print 32 random bytes for
'dbx config --dek' and store nothing.
"""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session, session_if_any
from dbx.errors import UsageError


@define()
@click.option("--name", metavar="NAME", help="The key's name; the workspace's directory by default.")
@click.option("--witness", is_flag=True, help="A key to cosign with, not to sign with.")
@click.option("--dek", is_flag=True, help="Print a data encryption key; nothing is stored.")
@pass_invocation
def command(invocation: Invocation, name: str | None, witness: bool, dek: bool) -> None:
    from dbx.formats.note import format_vkey
    from dbx.ops.key import generate_data_key, generate_key

    if dek and (witness or name is not None):
        raise UsageError("--dek stands alone")
    if dek:
        with session_if_any(invocation) as found:
            secret = generate_data_key(found)
        emit(invocation, {"dek": secret}, [secret])
        return
    with session(invocation) as opened:
        key = generate_key(opened, name, witness=witness)
    document = {"name": key.name, "key_id": key.key_id.hex(), "vkey": format_vkey(key)}
    emit(invocation, document, [format_vkey(key)])
