"""Configure a program that gets events as JSON lines, and acknowledges each."""

from __future__ import annotations

import os
from typing import Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import PLUGIN, finish_config, given_options, split_pairs, timeout_option
from dbx.errors import UsageError


@define()
@click.argument("program", metavar="[PROGRAM]", required=False)
@click.option("--plugin", "--command", "named", metavar="PROGRAM", help="The program, instead of the argument.")
@click.option("--name", metavar="NAME", type=PLUGIN, help="The plugin's name; by default the program's.")
@click.option("--version", "version", metavar="TEXT", help="The program's version, for your own information.")
@click.option("--arg", "args", metavar="ARG", multiple=True, help="An argument for the program. Repeatable.")
@click.option("--env", metavar="NAME=VALUE", multiple=True, help="A variable of its environment. Repeatable.")
@click.option("--working-dir", metavar="DIR", help="Where it runs; by default where the workspace is.")
@timeout_option
@given_options
@pass_invocation
def command(
    invocation: Invocation,
    /,
    program: str | None,
    named: str | None,
    name: str | None,
    version: str | None,
    args: tuple[str, ...],
    env: tuple[str, ...],
    working_dir: str | None,
    timeout_s: float | None,
    **given: Any,
) -> None:
    from dbx.model.plugin import ProcessConfig, check_plugin_name
    from dbx.ops.plugin import find_program

    if program is not None and named is not None and program != named:
        raise UsageError("the program is named twice")
    typed = program if program is not None else named
    if not typed:
        raise UsageError("no program was named", hint="dbx plugin config process PROGRAM --name NAME")
    path = find_program(typed, invocation.start_dir)
    directory = None if working_dir is None else os.path.abspath(os.path.join(invocation.start_dir, working_dir))
    config = ProcessConfig(
        path,
        args,
        tuple(split_pairs(env, "variable").items()),
        directory,
        version,
        60.0 if timeout_s is None else timeout_s,
    )
    finish_config(invocation, name or check_plugin_name(os.path.basename(path)), config, given)
