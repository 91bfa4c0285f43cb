"""Take in what others exported: EventDBX's files, and CloudEvents. Ids, times and actors stay; all is one commit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict, DbxError, Invalid
from dbx.formats import canonical
from dbx.model import cloudevents, eventdbx
from dbx.model.event import ARCHIVED
from dbx.model.missing import no_file
from dbx.repo.batch import staging
from dbx.repo.batch.commit import commit_staged
from dbx.repo.schema import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.formats.envelope import Actor
    from dbx.model.eventdbx import Difference
    from dbx.ops.session import Session
    from dbx.repo.build import Builder
    from dbx.repo.intake import Item

MAX_FILE_BYTES = 1 << 30
_MAX_DEPTH = 128
_SUFFIXES = (".json", ".jsonl", ".ndjson")


class Imported(NamedTuple):
    """What came in: events and their aggregates, schemas by type, differences; the commit's id, None without events."""

    events: int
    aggregates: int
    schemas: list[str]
    differences: list[Difference]
    commit: str | None
    dry_run: bool


class Coming(NamedTuple):
    """An event on its way in: the object that `apply --from` takes, and who issued it, None where nobody knows."""

    item: dict[str, Any]
    actor: Actor | None


def import_eventdbx(session: Session, path: str, *, dry_run: bool = False) -> Imported:
    """Import a file that EventDBX's command line wrote, or every `.json` file of a directory.

    Events keep their ids, times and actors; the commit names who imports. Schemas become working schemas after the
    events: history is not held to rules of today. Raises Invalid and changes nothing for files that do not fit,
    Conflict when something is staged or exists.
    """
    found = eventdbx.empty_export()
    for name in _files(path):
        for document in read_documents(name):
            eventdbx.add_document(found, document, name)
    planned = eventdbx.plan(found)
    documents = {kind: eventdbx.schema_document(value, found.differences) for kind, value in found.schemas.items()}
    _check_schemas(session, documents)
    # Archiving was no event over there: this one is ours.
    coming = [Coming(e.item, session.actor if e.item["event_type"] == ARCHIVED else e.actor) for e in planned]
    commit = _commit(session, coming, f"import from EventDBX: {os.path.basename(os.path.abspath(path))}", dry_run)
    if not dry_run:
        for document in documents.values():
            schemas.create(session.domain, document)
    names = {event.name for event in planned}
    return Imported(len(planned), len(names), sorted(documents), found.differences, commit, dry_run)


def import_cloudevents(
    session: Session, documents: Sequence[Any], aggregate_type: str | None = None, *, dry_run: bool = False
) -> Imported:
    """Import CloudEvents 1.0: documents, each an event or an array of them. Raises Invalid naming the faulty ones."""
    events = [event for document in documents for event in (document if isinstance(document, list) else [document])]
    coming: list[Coming] = []
    faults: list[dict[str, Any]] = []
    for number, event in enumerate(events, 1):
        try:
            coming.append(Coming(*cloudevents.to_item(event, aggregate_type)))
        except DbxError as error:
            faults.append({"line": number, "type": error.kind, "message": error.message})
    if faults:
        first = faults[0]
        what = "CloudEvent" if len(faults) == 1 else "CloudEvents"
        raise Invalid(
            f"{len(faults)} {what} cannot be imported, the first is number {first['line']}: {first['message']}",
            details={"lines": faults[:100]},
        )
    commit = _commit(session, coming, "import CloudEvents", dry_run)
    names = {(one.item["aggregate_type"], one.item["aggregate_id"]) for one in coming}
    return Imported(len(coming), len(names), [], [], commit, dry_run)


def read_documents(path: str) -> list[Any]:
    """The JSON documents of a file: one, or one a line. Raises Invalid naming the file, NotFound."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise no_file(path) from None
    return parse_documents(data, path)


def parse_documents(data: bytes, name: str) -> list[Any]:
    """One JSON document, or one a line. Raises Invalid."""
    if len(data) > MAX_FILE_BYTES:
        raise Invalid(f"'{name}' is larger than 1 GiB")
    try:
        return [canonical.loads(data, what=f"'{name}'", max_depth=_MAX_DEPTH)]
    except Invalid as error:
        lines = [line for line in data.split(b"\n") if line.strip()]
        if len(lines) < 2 or not all(line.lstrip()[:1] in (b"{", b"[") for line in lines[:2]):
            raise Invalid(error.message, hint=error.hint, details={**error.details, "file": name}) from None
    what = f"'{name}'"
    return [canonical.loads(line, what=what, max_depth=_MAX_DEPTH, first_line=n) for n, line in enumerate(lines, 1)]


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    found = [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(_SUFFIXES)]
    if not found:
        raise Invalid(f"'{path}' has no .json files in it", hint="name the directory that EventDBX's exports lie in")
    return found


def _check_schemas(session: Session, documents: dict[str, dict[str, Any]]) -> None:
    """Before anything is written: each is one that may be, and none is there already."""
    there = set(schemas.find_types(session.domain.directory))
    for kind, document in documents.items():
        if kind in there:
            raise Conflict(f"the schema of '{kind}' exists already", hint="leave the schemas out, or remove that one")
        schemas.check_document(document, kind)


def _commit(session: Session, coming: Sequence[Coming], message: str, dry_run: bool) -> str | None:
    if not coming:
        return None
    domain = session.domain
    if staging.find_batch(domain) is not None:
        raise Conflict(
            "something is staged, and an import is a commit of its own", hint="'dbx commit' or 'dbx reset' it"
        )
    importer = session.actor

    def items(builder: Builder) -> Iterator[Item]:
        for number, one in enumerate(coming, 1):
            builder.attribute_to(one.actor)
            yield number, one.item, None

    staging.stage(domain, items, issued_by=importer, reserved=True, dry_run=dry_run)
    if dry_run:
        return None
    done = commit_staged(domain, actor=importer, message=message)
    return None if done is None else done[1]
