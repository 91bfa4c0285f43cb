"""Write schemas as JSON Schema or AsyncAPI, for tools that do not know dbx."""

from __future__ import annotations

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.session import session


@define()
@click.argument("aggregates", metavar="[TYPE]…", nargs=-1, shell_complete=complete.complete_schema)
@click.option(
    "--format", "kind", type=click.Choice(["json-schema", "asyncapi"]), default="json-schema", help="The format."
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write it to a file.")
@pass_invocation
def command(invocation: Invocation, aggregates: tuple[str, ...], kind: str, output: str | None) -> None:
    from dbx.ops.schemaexchange import export_schemas, write_export

    with session(invocation) as opened:
        document = export_schemas(opened, aggregates, kind)
    text = json_text(document, pretty=True)
    if output is None:
        emit(invocation, document, [text])
        return
    write_export(output, f"{text}\n".encode())
    emit(invocation, {"format": kind, "file": output}, [f"wrote {output}"])
