"""Compare two versions of the schemas, or one with the files as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text, paint
from dbx.cli.schemashapes import SHORT, domain_argument
from dbx.cli.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.ops.schemaversions import Difference

_WIDTH = 60


@define()
@domain_argument
@click.option(
    "--from",
    "old",
    metavar="VERSION",
    default="active",
    shell_complete=complete.complete_schema_version,
    help="The older (default active).",
)
@click.option(
    "--to",
    "new",
    metavar="VERSION",
    default="working",
    shell_complete=complete.complete_schema_version,
    help="The newer (default working: the files).",
)
@click.option("--style", type=click.Choice(["unified", "split", "patch"]), default="unified", help="How it looks.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours.")
@pass_invocation
def command(invocation: Invocation, domain: str | None, old: str, new: str, style: str, color: str) -> int:
    from dbx.ops.schemaversions import compare_versions

    invocation.domain = domain or invocation.domain
    if color != "auto":
        invocation.colour = color == "always"
    with session(invocation) as opened:
        found = compare_versions(opened, old, new)
        name = opened.domain.name
    differs = found.before != found.after
    head = f"domain={name} diff from {found.old[:SHORT]} to {found.new[:SHORT]}"
    lines = [f"{head} has no changes"]
    if differs:
        lines = [f"{head} includes {len(found.operations)} operation(s):"]
        lines += {"unified": _unified, "split": _split, "patch": _patch}[style](invocation, found)
    emit(invocation, found.operations, lines)
    return 1 if differs else 0


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
