"""Look for what is better done otherwise: best practices as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import Progress
from dbx.cli.render import emit, note, paint
from dbx.cli.session import session
from dbx.cli.text import escape

if TYPE_CHECKING:
    from dbx.model.lint import Finding


@define()
@click.option("--strict", is_flag=True, help="Exit with 1 when there are findings.")
@pass_invocation
def command(invocation: Invocation, strict: bool) -> int:
    from dbx.ops.lint import lint_domain

    with session(invocation) as opened, Progress(None, "looking", quiet=invocation.quiet) as bar:
        report = lint_domain(opened, progress=bar.update)
    document = {
        "domain": report.domain,
        "findings": [one._asdict() for one in report.findings],
        "examined": report.examined,
        "events": report.total,
    }
    lines = [line for one in report.findings for line in _lines(invocation, one)]
    emit(invocation, document, lines or ["no findings"])
    if report.examined < report.total:
        note(invocation, f"looked at {report.examined:,} of {report.total:,} events, spread over the history")
    return 1 if strict and report.findings else 0


def _lines(invocation: Invocation, one: Finding) -> list[str]:
    return [
        f"{paint(invocation, escape(one.where), 'yellow')}: {escape(one.what)} [{one.rule}]",
        f"  why: {escape(one.why)}",
        f"  fix: {escape(one.command)}",
    ]
