"""Schemas in the formats of others, and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid, NotFound
from dbx.formats import canonical
from dbx.model.asyncapi import export_asyncapi
from dbx.model.jsonschema import DIALECT, export_json_schema
from dbx.model.jsonschemaimport import import_json_schema
from dbx.model.names import check_type
from dbx.repo import outfile
from dbx.repo.schema import schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.model.schema import Schema
    from dbx.ops.session import Session
    from dbx.repo.schema.schemas import Working

JSON_SCHEMA, ASYNCAPI = "json-schema", "asyncapi"
MAX_IMPORT_BYTES = 1 << 20


def export_schemas(session: Session, aggregates: Sequence[str], kind: str) -> dict[str, Any]:
    """The schemas of these types, of all by default, as one document; the same schemas give the same document.

    A JSON Schema of one type stands alone, those of several under `$defs`. Raises NotFound, Invalid.
    """
    directory = schemas.settled(session.domain)
    names = [check_type(name) for name in aggregates] or schemas.find_types(directory)
    if not names:
        raise NotFound("there are no schemas to export", hint="make one with 'dbx schema create'")
    found = {name: schemas.get_working(directory, name).schema for name in sorted(set(names))}
    if kind == ASYNCAPI:
        return export_asyncapi(found, title=session.domain.name, version=_version(session))
    documents = {name: export_json_schema(schema) for name, schema in found.items()}
    if len(aggregates) == 1:
        return documents[aggregates[0]]
    return {"$schema": DIALECT, "$id": f"urn:dbx:domain:{session.domain.name}", "$defs": documents}


def write_export(path: str, data: bytes) -> None:
    """Put an export into a file, whole or not at all."""
    outfile.write_outside(path, data)


def import_schema(
    session: Session, aggregate: str | None, data: bytes, *, replace: bool = False
) -> tuple[Schema, list[tuple[str, str]]]:
    """Make a schema of a JSON Schema: (the schema, what did not map, as (place, sentence)).

    Without `aggregate` its title is the type. With `replace` one that is there gets the new content; comments stay
    where they can. Raises Conflict, Invalid.
    """
    found = canonical.loads(data, what="the JSON Schema")
    kind = _titled(found) if aggregate is None else check_type(aggregate)
    document, problems = import_json_schema(found, aggregate=kind)
    if problems and not document.get("columns"):
        told = schemas.sentence_of(problems[0])
        raise Invalid(f"nothing in the JSON Schema maps: {told}", hint="a schema is made of an object's properties")
    made: Working
    if replace and schemas.settled(session.domain).exists(schemas.file_of(kind)):

        def put(old: dict[str, Any]) -> None:
            old.clear()
            old.update(document)

        made = schemas.change(session.domain, kind, put)
    else:
        schemas.write_guide(session.repository.directory)
        made = schemas.create(session.domain, document)
    return made.schema, [(schemas.path_text(one.path), schemas.sentence_of(one)) for one in problems]


def _titled(document: Any) -> str:
    title = document.get("title") if isinstance(document, dict) else None
    try:
        return check_type(title.lower().replace(" ", "_").replace("-", "_") if isinstance(title, str) else None)
    except Invalid:
        raise Invalid(
            "the JSON Schema has no title that could be the aggregate type",
            hint="name the type: dbx schema import TYPE FILE",
        ) from None


def _version(session: Session) -> str:
    """The id of the newest published version, as short as listings have it; 0 before the first."""
    from dbx.repo.schema.published import find_head

    head = find_head(schemas.settled(session.domain))
    return "0" if head is None else head[:12]
