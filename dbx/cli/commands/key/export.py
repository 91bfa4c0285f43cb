"""Print a key for others: as a vkey, in PEM, or its private half sealed by a passphrase.

By default the key that the workspace signs with.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, warn
from dbx.cli.session import session
from dbx.cli.signing import prepare_key
from dbx.errors import UsageError


@define()
@click.argument("key_id", metavar="[KEY_ID]", required=False)
@click.option("--pem", is_flag=True, help="The public half in PEM, as openssl reads it.")
@click.option("--private", is_flag=True, help="The private half in PEM (PKCS#8), into --out.")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase that seals the private half is its first line.")
@click.option("--no-passphrase", is_flag=True, help="Do not seal the private half.")
@params.out_option("Write to FILE instead of standard output.")
@pass_invocation
def command(
    invocation: Invocation,
    key_id: str | None,
    pem: bool,
    private: bool,
    passphrase_file: str | None,
    no_passphrase: bool,
    out: str | None,
) -> None:
    from dbx.ops.key import export_private, export_public, write_private

    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE") if private else None
    if private and pem:
        raise UsageError("give --pem or --private, not both")
    if not private and (passphrase_file is not None or no_passphrase):
        raise UsageError("a passphrase is for --private")
    if private and out is None:
        raise UsageError("a private key is not printed", hint="say where it shall go with --out FILE")
    if private and (passphrase is None) != no_passphrase:
        raise UsageError(
            "give --passphrase-file (or DBX_PASSPHRASE), or --no-passphrase",
            hint="without a passphrase, whoever gets the file can sign in your name",
        )
    with session(invocation) as opened:
        if key_id is None:
            prepare_key(invocation, opened)
        done = export_private(opened, key_id, passphrase) if private else export_public(opened, key_id)
    text = done.data.decode() if pem or private else done.vkey + "\n"
    document = {"vkey": done.vkey, "out": out, **({"pem": text} if pem else {})}
    if out is None:
        emit(invocation, document, [text.rstrip("\n")])
        return
    write_private(out, text.encode())
    if no_passphrase:
        warn(f"'{out}' is not sealed")
    emit(invocation, document, [f"wrote '{out}'"])
