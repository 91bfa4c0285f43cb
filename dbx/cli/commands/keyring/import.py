"""Take over the data keys of another workspace, which it exported.

Where nothing was sealed here, everything that is written is, from now on.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.dek import find_dek
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase is its first line.")
@click.option("--dek-file", metavar="FILE", help="The DEK to keep the keys with, where this workspace has none.")
@click.pass_context
@pass_invocation
def command(
    invocation: Invocation, ctx: click.Context, file: str, passphrase_file: str | None, dek_file: str | None
) -> None:
    from dbx.ops.sealing import MAX_KEYRING_BYTES, import_keyring, parse_dek

    data = params.read_input(ctx, file, MAX_KEYRING_BYTES, "the keyring")
    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE")
    if passphrase is None:
        raise UsageError("give --passphrase-file, or set DBX_PASSPHRASE")
    dek = parse_dek(params.read_secret_file(dek_file)) if dek_file is not None else find_dek(invocation)()
    with session(invocation) as opened:
        count = import_keyring(opened, data, passphrase, dek)
    keys = "1 data key" if count == 1 else f"{count} data keys"
    emit(invocation, {"imported": count}, [f"imported {keys}"])
