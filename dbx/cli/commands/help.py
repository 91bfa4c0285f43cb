"""Show the manual page of a command or a topic.

Topics: tutorial, glossary, refs, api, format. 'dbx help' alone lists the commands.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from dbx.cli import manual, render
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import Group, define, root, suggest
from dbx.errors import NotFound

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MAX_COLUMNS = 100


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in sorted({*manual.topics(), *root().names()}) if name.startswith(incomplete)]


@define()
@click.argument("words", metavar="[COMMAND|TOPIC]…", nargs=-1, shell_complete=_complete)
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...]) -> None:
    # `dbx help dbx-format` and `dbx help dbx` are what man(1) has taught.
    path = (
        manual.find_page(tuple(part for word in words for part in word.split("-") if part != "dbx")) if words else None
    )
    if path is not None and invocation.stdout_tty and not invocation.json and _show_in_man(path):
        return
    if path is not None:
        from dbx.cli.roff import render as render_page

        columns = min(_columns(invocation), MAX_COLUMNS)
        text = render_page(manual.read_page(path), width=columns, styled=invocation.colour and not invocation.json)
    else:
        text = _usage(words)
    if invocation.json:
        render.emit(invocation, {"topic": " ".join(words), "path": path, "text": text})
    else:
        render.page(invocation, text)


def _usage(words: tuple[str, ...]) -> str:
    """What `dbx WORDS --help` shows, for commands without a page."""
    found: click.Command = root()
    ctx = click.Context(found, info_name="dbx")
    for word in words:
        step = found.get_command(ctx, word) if isinstance(found, Group) else None
        if step is None:
            names = sorted({*manual.topics(), *root().names()})
            hint = suggest("-".join(words), names) or "run 'dbx help' for the commands"
            raise NotFound(f"no manual page for '{' '.join(words)}'", hint=hint)
        found, ctx = step, click.Context(step, parent=ctx, info_name=word)
    return found.get_help(ctx) + "\n"


def _show_in_man(path: str) -> bool:
    import shutil
    import subprocess

    man = shutil.which("man")
    if man is None:
        return False
    # The path is absolute, so it cannot be taken for an option; no shell is involved.
    return subprocess.run([man, "-l", path], check=False).returncode == 0  # noqa: S603


def _columns(invocation: Invocation) -> int:
    if invocation.stdout_tty:
        return os.get_terminal_size(1).columns or 80
    return 80
