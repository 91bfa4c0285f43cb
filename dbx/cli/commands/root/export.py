"""Write a root file: every version and root, to be compared elsewhere without events or keys."""

from __future__ import annotations

import click

from dbx.cli.complete import complete_source
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, flush, note, write_bytes
from dbx.cli.session import session
from dbx.cli.signing import prepare_key
from dbx.errors import UsageError


@define()
@click.argument("file", metavar="FILE", type=click.Path())
@click.argument("source", metavar="[DOMAIN][@REF]", required=False, shell_complete=complete_source)
@click.option("--sign", is_flag=True, help="Sign a checkpoint of it, and put its proof into the file.")
@pass_invocation
def command(invocation: Invocation, file: str, source: str | None, sign: bool) -> None:
    from dbx.ops.root import export

    if not file:
        raise UsageError("the name of the root file is empty", hint="write '-' for standard output")
    if file == "-" and invocation.json:
        raise UsageError("the root file and '--json' would both go to standard output", hint="name a file")
    with session(invocation) as opened:
        if sign:
            prepare_key(invocation, opened)
        if file == "-":
            flush()
            export(opened, source, write_bytes, sign=sign)
            return
        name, done = export(opened, source, file, sign=sign)
    document = {
        "domain": name,
        "file": file,
        "root": done.root,
        "commit": done.commit,
        "seq": done.seq if done.commit else None,
        "aggregates": done.aggregates,
        "signed": sign,
    }
    emit(invocation, document, [done.root])
    note(invocation, f"wrote {done.aggregates} aggregates to '{file}'")
