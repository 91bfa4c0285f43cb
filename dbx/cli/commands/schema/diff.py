"""Compare two versions of the schemas, or one with the files as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text, paint
from dbx.cli.schemashapes import SHORT
from dbx.cli.session import session
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.ops.schemaversions import Difference

_WIDTH = 60
_VERSIONS = 2


@define()
@click.argument(
    "words", nargs=-1, metavar="[DOMAIN] | [VERSION [VERSION]]", shell_complete=complete.complete_schema_version
)
@click.option(
    "--from",
    "old",
    metavar="VERSION",
    shell_complete=complete.complete_schema_version,
    help="The older (default active).",
)
@click.option(
    "--to",
    "new",
    metavar="VERSION",
    shell_complete=complete.complete_schema_version,
    help="The newer (default working: the files).",
)
@click.option("--style", type=click.Choice(["unified", "split", "patch"]), default="unified", help="How it looks.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours.")
@click.option("--exit-code", is_flag=True, help="Status 1 where they differ.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    old: str | None,
    new: str | None,
    style: str,
    color: str,
    exit_code: bool,
) -> int:
    from dbx.ops.schemaversions import WORKING, compare_versions, take_version

    if len(words) > _VERSIONS or (len(words) == _VERSIONS and not old is new is None):
        raise UsageError(
            f"unexpected argument '{words[-1]}' for 'dbx schema diff'", hint="run 'dbx schema diff --help'"
        )
    if color != "auto":
        invocation.colour = color == "always"
    with session(invocation) as active:
        if len(words) == _VERSIONS:
            opened, (old, new) = active, words
        else:
            opened, old = take_version(active, words[0] if words else None, old)
        found = compare_versions(opened, old or "active", new or WORKING)
        name = opened.domain.name
    differs = found.before != found.after
    head = f"domain={name} diff from {found.old[:SHORT]} to {found.new[:SHORT]}"
    lines = [f"{head} has no changes"]
    if differs:
        lines = [f"{head} includes {len(found.operations)} operation(s):"]
        lines += {"unified": _unified, "split": _split, "patch": _patch}[style](invocation, found)
    emit(invocation, found.operations, lines)
    return 1 if differs and exit_code else 0


def _unified(invocation: Invocation, found: Difference) -> Iterator[str]:
    from difflib import unified_diff

    colours = {"+": "green", "-": "red", "@": "cyan"}
    for aggregate in sorted(found.before.keys() | found.after.keys()):
        before, after = (texts.get(aggregate, "").splitlines() for texts in (found.before, found.after))
        old, new = (f"{aggregate}@{version[:SHORT]}" for version in (found.old, found.new))
        for line in unified_diff(before, after, old, new, lineterm=""):
            yield paint(invocation, line, colours[line[0]]) if line[:1] in colours else line


def _split(invocation: Invocation, found: Difference) -> Iterator[str]:
    from difflib import SequenceMatcher

    yield f"{'schema@' + found.old[:SHORT]:<{_WIDTH}} | schema@{found.new[:SHORT]}"
    for aggregate in sorted(found.before.keys() | found.after.keys()):
        before, after = (texts.get(aggregate, "").splitlines() for texts in (found.before, found.after))
        for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            for n in range(max(j - i, m - k)):
                left = before[i + n] if i + n < j else ""
                right = after[k + n] if k + n < m else ""
                mark = " " if tag == "equal" else "|" if left and right else "<" if left else ">"
                line = f"{left[:_WIDTH]:<{_WIDTH}} {mark} {right}"
                yield line if tag == "equal" else paint(invocation, line, "yellow")


def _patch(_invocation: Invocation, found: Difference) -> Iterator[str]:
    for operation in found.operations:
        yield json_text(operation)
