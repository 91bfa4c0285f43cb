"""Export the state of active aggregates as CSV or JSON files, or as a zip archive of them."""

from __future__ import annotations

from typing import Literal

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit, note
from dbx.cli.session import session
from dbx.cli.subject import take_type, type_options
from dbx.errors import UsageError


@define()
@type_options
@click.option("--all", "every", is_flag=True, help="Every type, instead of one.")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    required=True,
    type=click.Path(path_type=str),
    help="A file for one type, or a directory; with --zip the archive.",
)
@click.option(
    "--format", "style", type=click.Choice(["csv", "json"]), default="csv", help="What to write (default csv)."
)
@click.option("--zip", "as_zip", is_flag=True, help="One zip archive, the same bytes for the same states.")
@click.option("--pretty", is_flag=True, help="Indent the JSON.")
@click.option("--no-formula-guard", is_flag=True, help="CSV: leave text that a spreadsheet would run.")
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@pass_invocation
def command(
    invocation: Invocation,
    aggregate_type: str | None,
    named_type: str | None,
    every: bool,
    output: str,
    style: Literal["csv", "json"],
    as_zip: bool,
    pretty: bool,
    no_formula_guard: bool,
    include_hidden: bool,
) -> None:
    from dbx.ops.exportstates import ID, Style, export_aggregates

    aggregate_type = take_type(aggregate_type, named_type)
    if (aggregate_type is None) is not every:
        raise UsageError("name a type, or say --all" if not every else "--all cannot be used together with a type")
    if pretty and style != "json":
        raise UsageError("--pretty is for --format json")
    if no_formula_guard and style != "csv":
        raise UsageError("--no-formula-guard is for --format csv")
    if not output:
        raise UsageError("the output path is empty")
    how = Style(style, pretty, not no_formula_guard, include_hidden)
    with session(invocation) as opened, progress(invocation, None, "exporting") as bar:
        done = export_aggregates(opened, aggregate_type, output, how, as_zip=as_zip, progress=bar.update)
    for kind in done.hidden:
        note(invocation, f"states of type '{kind}' have a member '{ID}', which is left out: the id stands there")
    document = {
        "format": style,
        "archive": done.archive,
        "types": [{"aggregate_type": t.aggregate_type, "path": t.path, "aggregates": t.aggregates} for t in done.types],
    }
    many = f"{len(done.types)} aggregate type(s)"
    if not done.types:
        lines = [f"no aggregates found for '{aggregate_type}'" if aggregate_type else "no aggregates found"]
    elif done.archive is not None:
        lines = [f"Exported {many} to {done.archive} (zip archive)"]
    else:
        lines = [*(f"wrote {t.path}" for t in done.types), f"Exported {many} in {style.upper()} format"]
    emit(invocation, document, lines)
