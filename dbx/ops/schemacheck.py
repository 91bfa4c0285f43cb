"""Check schemas and events against each other, and store nothing."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.repo import rules as repo_rules
from dbx.repo.schema import schemahistory, schemas
from dbx.repo.schema.schemalint import lint

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session
    from dbx.repo.schema.schemas import Working


FILE_FAULT = "schema.file"
"""The code of a finding that a schema file cannot be used as it is."""


class Fault(NamedTuple):
    """An event that breaks a rule: where it stands (`line 3`, `order/o-1 version 2`), and what is wrong."""

    place: str
    message: str
    line: int | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    version: int | None = None
    event_id: str | None = None


class Checked(NamedTuple):
    """How many events were checked, how many broke a rule, and the first of these."""

    checked: int
    invalid: int
    faults: list[Fault]


def lint_schemas(session: Session, aggregate: str | None = None) -> list[dict[str, Any]]:
    """Every finding on the schemas, of one type or of all, as JSON."""
    domain = session.domain
    directory = schemas.settled(domain)
    names = [aggregate] if aggregate is not None else schemas.find_types(directory)
    found: list[dict[str, Any]] = []
    sound: dict[str, Working] = {}
    for name in names:
        try:
            sound[name] = schemas.get_working(directory, name)
        except Invalid as error:
            found += _faults_of_file(name, error)
    for finding in lint(domain, [working.schema for working in sound.values()]):
        line, column = schemas.place_in(sound[finding.aggregate], finding.path)
        path = directory.path_of(schemas.file_of(finding.aggregate))
        found.append({**finding.to_value(), "file": path, "line": line, "column": column})
    return found


def validate_event(session: Session, aggregate: str, event_type: str, payload: Any, *, first: bool = False) -> None:
    """Check one event against the schema files. Raises Invalid with everything that is wrong with it.

    A type without a schema is right, unless restrict is strict.
    """
    if not isinstance(payload, dict):
        raise Invalid("the payload must be a JSON object")
    domain = session.domain
    with domain.mutex:
        rules = repo_rules.load_rules(domain, strict=_is_strict(session))
        rules.check_of(aggregate, event_type)(payload, first, rules.look_up_in(domain.sync().find))


def validate_lines(
    session: Session,
    read: Callable[[int], bytes],
    max_errors: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> Checked:
    """Check a stream of JSON lines as 'aggregate apply --from' would, but for what depends on stored events."""
    domain = session.domain
    with domain.mutex:
        rules = repo_rules.load_rules(domain, strict=_is_strict(session))
        checked, faults = schemahistory.check_lines(domain, rules, read, max_errors, progress)
    return Checked(
        checked, len(faults), [Fault(f"line {fault.line}", fault.error.message, fault.line) for fault in faults]
    )


def count_history(session: Session) -> int:
    """How many events there are to check."""
    return session.domain.read(lambda working, _: working.head.position)


def validate_history(
    session: Session,
    aggregate: str | None,
    max_errors: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> Checked:
    """Check every stored event against the schema files as they are, on both cores."""
    domain = session.domain
    with domain.mutex:
        rules = repo_rules.load_rules(domain, strict=_is_strict(session))
        for name in rules.types():
            rules.find_schema(name)
    cores = len(os.sched_getaffinity(0)) if threading.active_count() == 1 else 1
    checked, invalid, found = schemahistory.check_history(
        domain, rules, aggregate, max_errors, processes=cores, progress=progress
    )
    return Checked(
        checked,
        invalid,
        [
            Fault(f"{f.aggregate_type}/{f.aggregate_id} version {f.version}", f.message, None, *f[:3], str(f.event_id))
            for f in found
        ],
    )


def _is_strict(session: Session) -> bool:
    from dbx.repo import config

    forced = session.repository.restrict
    mode = config.get(session.repository, session.domain, "restrict") if forced is None else forced
    return bool(mode == "strict")


def _faults_of_file(aggregate: str, error: Invalid) -> list[dict[str, Any]]:
    file = error.details.get("file")
    lines = error.details.get("lines") or [{**error.details, "message": error.message}]
    return [
        {
            "code": FILE_FAULT,
            "aggregate": aggregate,
            "field": line.get("path"),
            "message": line["message"],
            "blocks": True,
            "count": 0,
            "ids": [],
            "file": file,
            "line": line.get("line", 1),
            "column": line.get("column", 1),
        }
        for line in lines
    ]
