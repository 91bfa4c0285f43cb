"""Configure lines of text for each event, in a file or on the runner's standard error."""

from __future__ import annotations

import os
from typing import Any

import click

from dbx.cli.complete import complete_word
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import finish_config, given_options, name_option


@define()
@name_option
@click.option(
    "--level",
    metavar="LEVEL",
    default="info",
    shell_complete=complete_word("LEVELS"),
    help="trace, debug, info (default), warn or error.",
)
@click.option("--template", metavar="TEXT", help="The line of an event: {aggregate}, {id}, {event} and others.")
@click.option("--file", "--output", "file", metavar="FILE", help="Append to FILE instead of writing to standard error.")
@given_options
@pass_invocation
def command(
    invocation: Invocation, /, name: str, level: str, template: str | None, file: str | None, **given: Any
) -> None:
    from dbx.model.plugin import LogConfig

    path = None if file is None else os.path.abspath(os.path.join(invocation.start_dir, file))
    finish_config(invocation, name, LogConfig(level, template, path), given)
