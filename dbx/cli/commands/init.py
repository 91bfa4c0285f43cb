"""Make a repository: '.dbx/' with a domain in it."""

from __future__ import annotations

import os

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.text import escape


@define()
@click.argument("directory", metavar="[DIR]", required=False, type=params.DIRECTORY)
@pass_invocation
def command(invocation: Invocation, directory: str | None) -> None:
    from dbx.ops.init import init

    base = invocation.start_dir if directory is not None or invocation.dbx_dir is None else invocation.dbx_dir
    path = base if directory is None else os.path.join(base, directory)
    made = init(path, domain=invocation.domain, clock=invocation.clock, wait_s=invocation.wait_s)
    where = escape(made.path)
    text = (
        f"Initialized an empty repository in {where} with the domain '{made.domain}'."
        if made.created
        else f"There is a repository in {where} already; nothing was changed."
    )
    emit(invocation, made._asdict(), [text])
