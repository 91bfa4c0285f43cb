"""Restore a workspace from a backup, all of it or nothing.

Everything is checked before the old workspace, if there is one, is replaced.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import admitted, who_of
from dbx.cli.text import escape
from dbx.errors import UsageError


@define()
@click.option("-i", "--input", "source", metavar="FILE", required=True, help="The backup.")
@click.option("--data-dir", metavar="DIR", type=params.DIRECTORY, help="Restore into DIR; the working directory.")
@click.option("--force", is_flag=True, help="Replace the workspace that is there.")
@click.option("--passphrase-file", metavar="FILE", help="The passphrase is the first line of FILE.")
@click.option("--without-keys", is_flag=True, help="Leave the keys out that the backup holds.")
@pass_invocation
def command(
    invocation: Invocation,
    source: str,
    data_dir: str | None,
    force: bool,
    passphrase_file: str | None,
    without_keys: bool,
) -> None:
    import os

    from dbx.errors import NotFound
    from dbx.formats.envelope import Actor
    from dbx.ops.backup import restore
    from dbx.ops.session import GROUP

    if without_keys and passphrase_file is not None:
        raise UsageError("'--without-keys' needs no passphrase")
    if not os.path.isfile(source):
        raise NotFound(f"backup archive '{source}' does not exist", hint="make one with 'dbx backup -o FILE'")
    passphrase = params.find_secret(invocation, None, passphrase_file, "DBX_PASSPHRASE")
    where = data_dir if data_dir is not None else invocation.start_dir
    admitted(invocation, where)
    who = who_of(invocation)
    done = restore(
        source,
        where,
        by=Actor(who.group or GROUP, who.user or who.account),
        clock=invocation.clock,
        force=force,
        passphrase=passphrase,
        without_keys=without_keys,
        wait_s=invocation.wait_s,
    )
    document = {
        "input": source,
        "path": done.path,
        "created_at": done.manifest.created_at,
        "files": done.files,
        "events": done.events,
        "replaced": done.replaced,
        "keys": bool(done.keys),
        "domains": [one._asdict() for one in done.manifest.domains],
    }
    emit(invocation, document, [f"Restored backup from {escape(source)} into {escape(done.path)}"])
