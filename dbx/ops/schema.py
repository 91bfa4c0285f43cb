"""Working schemas: make them, look at them, change them (dbx-schema(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import UsageError
from dbx.model import schemachange
from dbx.model.names import check_type
from dbx.repo import config
from dbx.repo.schema import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.schemachange import FieldChange
    from dbx.ops.session import Session
    from dbx.repo.schema.schemas import Working


def create_schema(
    session: Session, aggregate: str, events: Sequence[str], snapshot_threshold: int | None = None
) -> Working:
    """A new schema that declares these events. Raises Conflict where the type has one, Invalid.

    Without a threshold it gets that of the setting, which counts at this moment only.
    """
    if snapshot_threshold is None:
        snapshot_threshold = config.get(session.repository, session.domain, "snapshot_threshold")
    document = schemachange.new_document(aggregate, events, snapshot_threshold)
    schemas.write_guide(session.repository.directory)
    return schemas.create(session.domain, document)


def get_schema(session: Session, aggregate: str) -> Working:
    """The working schema of a type. Raises NotFound, and Invalid with everything that is wrong with its file."""
    return schemas.get_working(schemas.settled(session.domain), check_type(aggregate))


def list_schemas(session: Session) -> list[Working]:
    """Every working schema, by type. Raises Invalid for the first file that has a fault."""
    return schemas.list_working(schemas.settled(session.domain))


def add_events(session: Session, aggregate: str, events: Sequence[str]) -> Working:
    """Declare events; those that are declared already stay as they are."""
    return _change(session, aggregate, lambda document: schemachange.add_events(document, events))


def remove_event(session: Session, aggregate: str, event: str) -> Working:
    """Declare an event no longer. Raises NotFound; Invalid for the last."""
    return _change(session, aggregate, lambda document: schemachange.remove_event(document, event))


def annotate_event(session: Session, aggregate: str, event: str, note: str | None) -> Working:
    """Set an event's note; None takes it away."""
    return _change(session, aggregate, lambda document: schemachange.annotate_event(document, event, note))


def alter_event(
    session: Session,
    aggregate: str,
    event: str,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    exactly: Sequence[str] | None = None,
) -> list[str]:
    """Change the list of fields that an event may set; the list as it is then, empty for any."""
    fields: list[str] = []

    def edit(document: dict[str, Any]) -> None:
        fields.extend(schemachange.alter_event(document, event, add=add, remove=remove, exactly=exactly))

    _change(session, aggregate, edit)
    return fields


def change_field(session: Session, aggregate: str, field: str, change: FieldChange) -> tuple[Working, list[str]]:
    """Change a column: (the schema, what was done). Raises UsageError when nothing is asked for."""
    done: list[str] = []

    def edit(document: dict[str, Any]) -> None:
        done.extend(schemachange.change_field(document, field, change))

    return _change(session, aggregate, edit), done


def hide(session: Session, aggregate: str, field: str | None, *, hidden: bool) -> Working:
    """Hide a field from listings of state, or with None the whole type; or show it again."""
    return _mark(session, aggregate, field, "hidden_fields", "hidden", hidden)


def lock(session: Session, aggregate: str, field: str | None, *, locked: bool) -> Working:
    """Let no event set a field, or with None write to the type at all; or allow it again."""
    return _mark(session, aggregate, field, "field_locks", "locked", locked)


def replace_schema(session: Session, aggregate: str, data: bytes, *, expected: bytes | None) -> Working:
    """Put new bytes in the place of a schema file that has the bytes `expected`. Raises Invalid, Conflict."""
    return schemas.replace(session.domain, check_type(aggregate), data, expected=expected)


def read_text(session: Session, aggregate: str) -> tuple[bytes, str]:
    """The bytes of a schema file, sound or not, and its path. Raises NotFound."""
    return schemas.read_text(schemas.settled(session.domain), check_type(aggregate))


def find_aggregates(session: Session) -> list[str]:
    """The types that have a schema file."""
    return schemas.find_types(schemas.settled(session.domain))


def _mark(session: Session, aggregate: str, field: str | None, listed: str, flag: str, on: bool) -> Working:
    if field is not None and not field.strip():
        raise UsageError("the field is empty")

    def edit(document: dict[str, Any]) -> None:
        if field is None:
            schemachange.set_flag(document, flag, on)
        else:
            schemachange.set_listed(document, listed, field, on)

    return _change(session, aggregate, edit)


def _change(session: Session, aggregate: str, edit: Callable[[dict[str, Any]], None]) -> Working:
    return schemas.change(session.domain, check_type(aggregate), edit)
