"""Configure a plugin of a kind."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.errors import UsageError


@define(context_settings={"ignore_unknown_options": True})
@click.argument("words", metavar="KIND", nargs=-1, type=click.UNPROCESSED)
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...]) -> None:
    from dbx.model.plugin import KINDS, check_word

    if not words or words[0].startswith("-"):
        raise UsageError("'dbx plugin config' needs a kind", hint=f"it is one of {', '.join(KINDS)}")
    check_word(words[0], KINDS, "plugin kind")
