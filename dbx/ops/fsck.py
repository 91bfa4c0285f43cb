"""Check domains: hash every byte again, follow every chain, fold every state, and say what is not as it should be."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid
from dbx.repo.check.domain import check_domain
from dbx.repo.check.finding import Finding, Report
from dbx.repo.repository import CONFIG, DOMAINS, HEAD
from dbx.repo.upkeep.surroundings import check_around, check_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Finding", "Report", "check_domains"]


def check_domains(
    session: Session,
    *,
    everything: bool = False,
    around: bool = True,
    quick: bool = False,
    jobs: int | None = None,
    begin: Callable[[int], None] = lambda events: None,
    progress: Callable[[int], None] = lambda events: None,
) -> list[Report]:
    """One report for the session's domain, or for each domain of the repository.

    `around`: the files beside each history are looked at as well, the workspace's own with the first report.
    `jobs` is the number of processes, by default one for each core. Raises NotFound; Corrupt when the repository itself
    is damaged, so that it cannot be told what to check.
    """
    repository = session.repository
    if everything:
        _check_workspace(session)
        names = [name for name in repository.directory.names(DOMAINS) if _is_domain(session, name)]
    else:
        name = repository.active if session.domain_name is None else session.domain_name
        _check_config(session)
        if not _is_domain(session, name):
            repository.check_domain(name)
        names = [name]
    processes = _cores() if jobs is None else jobs
    reports = [
        check_domain(
            repository.directory.below(f"{DOMAINS}/{name}"),
            name,
            vault=repository.vault,
            quick=quick,
            processes=processes,
            begin=begin,
            progress=progress,
        )
        for name in names
    ]
    if not around:
        return reports
    found = [check_around(repository, name) for name in names]
    found[0] += check_workspace(repository)
    return [_with(report, more) for report, more in zip(reports, found, strict=True)]


def _with(report: Report, more: list[Finding]) -> Report:
    counts = Counter(finding.severity for finding in more)
    return replace(
        report,
        errors=report.errors + counts["error"],
        warnings=report.warnings + counts["warning"],
        notes=report.notes + counts["note"],
        findings=(*report.findings, *more),
    )


def _check_workspace(session: Session) -> None:
    active = session.repository.active
    if not _is_domain(session, active):
        raise Corrupt(f"'{HEAD}' names domain '{active}', which does not exist", details={"file": HEAD})
    _check_config(session)


def _check_config(session: Session) -> None:
    try:
        session.repository.read_config()
    except Invalid as error:
        raise Corrupt(error.message, hint=error.hint, details={"file": CONFIG, **error.details}) from None


def _is_domain(session: Session, name: str) -> bool:
    """Whether there is a domain, however damaged; an empty directory is what an interrupted creation leaves."""
    if name.startswith("."):
        return False
    directory = session.repository.directory.below(f"{DOMAINS}/{name}")
    if directory.exists("domain.yaml"):
        return True
    return any("/" in entry or entry.startswith("journal-") for entry in directory.walk())


def _cores() -> int:
    # A process with threads must not fork: a lock that another thread holds would stay locked in the child.
    return len(os.sched_getaffinity(0)) if threading.active_count() == 1 else 1
