"""Best practices as findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.lintschema import lint
from dbx.repo.upkeep.lint import gather, gather_plugins, gather_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.lint import Finding
    from dbx.ops.session import Session


class Report(NamedTuple):
    """What was found in a domain, and how many of its events were looked at."""

    domain: str
    findings: list[Finding]
    examined: int
    total: int


def lint_domain(session: Session, *, progress: Callable[[int], None] | None = None) -> Report:
    """Look at a domain. Raises Invalid for a schema or a plugin with faults."""
    facts = gather(session.domain, progress=progress)
    facts = replace(
        facts, tokens=gather_tokens(session.repository, session.domain), plugins=gather_plugins(session.repository)
    )
    return Report(facts.domain, lint(facts), facts.examined, facts.total)
