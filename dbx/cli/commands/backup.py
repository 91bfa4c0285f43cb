"""Write a backup of the workspace, with all its domains, while others work on.

Keys and other secrets are left out, unless --with-keys asks for them; then a passphrase seals them.
"""

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
@click.option("-o", "--output", metavar="FILE", required=True, help="Write it to FILE.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@click.option("--with-keys", is_flag=True, help="With keys, tokens and credentials, sealed by a passphrase.")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase is the first line of FILE.")
@pass_invocation
def command(invocation: Invocation, output: str, force: bool, with_keys: bool, passphrase_file: str | None) -> None:
    from dbx.ops.backup import backup

    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE") if with_keys else None
    if with_keys and passphrase is None:
        raise UsageError("'--with-keys' needs a passphrase", hint="give --passphrase-file, or set DBX_PASSPHRASE")
    if passphrase_file is not None and not with_keys:
        raise UsageError("a passphrase is for --with-keys")
    with session(invocation) as opened:
        done = backup(opened, output, force=force, passphrase=passphrase)
        path = opened.repository.path
    document = {
        "output": output,
        "files": done.files,
        "bytes": done.size,
        "keys": with_keys,
        "domains": [one._asdict() for one in done.domains],
    }
    emit(invocation, document, [f"Backup created at {escape(output)} (captured data directory {escape(path)})"])
