"""Sign with a key from elsewhere: an Ed25519 key in PEM (PKCS#8)."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session

_MAX_BYTES = 64 * 1024


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--name", metavar="NAME", help="The key's name; the workspace's directory by default.")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase is its first line.")
@click.pass_context
@pass_invocation
def command(
    invocation: Invocation, ctx: click.Context, file: str, name: str | None, passphrase_file: str | None
) -> None:
    from dbx.formats.note import format_vkey
    from dbx.ops.key import import_key

    data = params.read_input(ctx, file, _MAX_BYTES, "the key")
    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE")
    with session(invocation) as opened:
        key = import_key(opened, data, name, passphrase)
    document = {"name": key.name, "key_id": key.key_id.hex(), "vkey": format_vkey(key)}
    emit(invocation, document, [format_vkey(key)])
