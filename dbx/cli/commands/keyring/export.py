"""Write the data keys to a file for another workspace, wrapped by a passphrase.

The DEK itself is not in it.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.argument("file", metavar="FILE")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase is its first line.")
@pass_invocation
def command(invocation: Invocation, file: str, passphrase_file: str | None) -> None:
    from dbx.ops.key import write_private
    from dbx.ops.sealing import export_keyring

    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE")
    if passphrase is None:
        raise UsageError("give --passphrase-file, or set DBX_PASSPHRASE")
    with session(invocation) as opened:
        data = export_keyring(opened, passphrase)
    if file == "-":
        emit(invocation, {"keyring": data.decode().rstrip("\n")}, [data.decode().rstrip("\n")])
        return
    write_private(file, data)
    emit(invocation, {"out": file}, [f"wrote '{file}'"])
