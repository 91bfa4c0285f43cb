"""Hash every byte again, and name what is damaged."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit, hint, json_text, paint, write
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import Corrupt, UsageError

if TYPE_CHECKING:
    from dbx.ops.fsck import Finding, Report

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@define()
@click.argument("name", required=False, type=params.DOMAIN, metavar="[DOMAIN]")
@click.option("--all", "everything", is_flag=True, help="Check every domain of the repository.")
@click.option("--quick", is_flag=True, help="Files, frames and the chain of commits; no events.")
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Use N processes (default: one for each core).")
@click.option("--jsonl", is_flag=True, help="Print one JSON document for each finding, then one for each domain.")
@pass_invocation
def command(
    invocation: Invocation, name: str | None, everything: bool, quick: bool, jobs: int | None, jsonl: bool
) -> int:
    from dbx.ops.fsck import check_domains

    if everything and (name or invocation.domain):
        raise UsageError("'--all' and the name of a domain exclude each other")
    if name is not None:
        invocation.domain = name
    with session(invocation) as opened, progress(invocation, None, "checking") as bar:

        def begin(events: int) -> None:
            bar.total, bar.done = events, 0

        reports = check_domains(opened, everything=everything, quick=quick, jobs=jobs, begin=begin, progress=bar.update)
    if jsonl:
        for report in reports:
            for finding in report.findings:
                write(json_text({"type": "finding", "domain": report.domain, **finding_value(finding)}) + "\n")
            write(json_text({"type": "domain", **report_value(report, findings=False)}) + "\n")
    elif invocation.json:
        values = [report_value(report) for report in reports]
        clean = all(report.clean for report in reports)
        emit(invocation, {"clean": clean, "domains": values} if everything else values[0])
    else:
        for report in reports:
            _show(invocation, report)
    return 0 if all(report.clean for report in reports) else Corrupt.status


def finding_value(finding: Finding) -> dict[str, Any]:
    """A finding as JSON; `what` names the commit, the aggregate or the event."""
    return {
        "severity": finding.severity,
        "code": finding.code,
        "file": finding.file,
        "offset": finding.offset,
        "what": dict(finding.what),
        "message": finding.message,
    }


def report_value(report: Report, *, findings: bool = True) -> dict[str, Any]:
    """A report as JSON."""
    value = {"domain": report.domain, "clean": report.clean, **asdict(report)}
    if findings:
        value["findings"] = [finding_value(finding) for finding in report.findings]
    else:
        del value["findings"]
    return value


def _show(invocation: Invocation, report: Report) -> None:
    for finding in report.findings:
        place = finding.file if finding.offset is None else f"{finding.file}, byte {finding.offset}"
        severity = paint(invocation, finding.severity, _COLOURS[finding.severity])
        write(f"{severity}: {escape(place)}: {escape(finding.message)} [{finding.code}]\n")
    more = report.errors + report.warnings + report.notes - len(report.findings)
    if more:
        write(f"… and {more} more\n")
    if report.sealed:
        write(f"{_count(report.sealed, 'body', 'bodies')} could not be checked without the key\n")
    counts = [_count(report.events, "event")]
    if report.aggregates is not None:
        counts.append(_count(report.aggregates, "aggregate"))
    counts += [_count(report.commits, "commit"), _count(report.segments, "segment")]
    verdict = paint(invocation, "clean", "green") if report.clean else _count(report.errors, "error")
    checked = "checked quickly" if report.quick else "checked"
    write(f"{', '.join(counts)} {checked} in domain '{report.domain}': {verdict}\n")
    if not report.clean and all(f.file == "index.db" for f in report.findings if f.severity == "error"):
        hint(invocation, "only the index is damaged; 'dbx reindex' makes it again from the log")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
