"""What a check finds, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["error", "warning", "note"]
KEPT = 1000
"""Findings beyond so many are counted, not kept: a wiped file must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    An error is damage. A warning is for a person to look at. A note is left over from an interruption and harms nobody.
    `file` is relative to the domain's directory, `offset` a byte in it. `what` names the commit, the aggregate or the
    event: seq, commit, aggregate_type, aggregate_id, version, event_id, position (of a range the first; `last_position`
    is its last).
    """

    severity: Severity
    code: str
    message: str
    file: str
    offset: int | None = None
    what: Mapping[str, int | str] = field(default_factory=dict)


class Findings:
    """Findings as they come, in order."""

    __slots__ = ("counts", "kept")

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: dict[str, int] = {"error": 0, "warning": 0, "note": 0}

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        file: str,
        offset: int | None = None,
        what: Mapping[str, int | str] | None = None,
    ) -> None:
        """One more."""
        self.counts[severity] += 1
        if self.counts[severity] <= KEPT:
            self.kept.append(Finding(severity, code, message, file, offset, what or {}))

    def error(
        self, code: str, message: str, file: str, offset: int | None = None, what: Mapping[str, int | str] | None = None
    ) -> None:
        """Damage."""
        self.add("error", code, message, file, offset, what)

    def warn(self, code: str, message: str, file: str, offset: int | None = None) -> None:
        """Something to look at."""
        self.add("warning", code, message, file, offset)

    def note(self, code: str, message: str, file: str, offset: int | None = None) -> None:
        """Something harmless."""
        self.add("note", code, message, file, offset)


@dataclass(frozen=True, slots=True)
class Report:
    """What checking a domain gave.

    `commit` is the head's id and `index` the index root it names, None before the first commit; `log` is the RFC 9162
    root over the ids of all commits. `errors`, `warnings` and `notes` count all findings, of which `findings` holds the
    first ones of each severity. `sealed` counts events whose bodies could not be looked at without a key.
    """

    domain: str
    quick: bool
    events: int
    aggregates: int | None
    commits: int
    segments: int
    commit: str | None
    index: str | None
    log: str
    sealed: int
    errors: int
    warnings: int
    notes: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is damaged."""
        return not self.errors
