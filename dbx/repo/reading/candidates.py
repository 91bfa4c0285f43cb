"""Names that begin so, for completion: asked of the index as it stands, without waiting and without writing history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.indexfile import INDEX
from dbx.repo.reading.revision import REMOTES, TAGS
from dbx.store.index import Index
from dbx.store.indexsurvey import find_ids, find_types

if TYPE_CHECKING:
    from dbx.repo.domain import Domain

LIMIT = 200
_WAIT_S = 0.2


def find_type_names(domain: Domain, prefix: str) -> list[str]:
    """Aggregate types, those of staged aggregates too."""
    index = _open(domain)
    if index is None:
        return []
    try:
        return find_types(index, prefix, LIMIT)
    finally:
        index.close()


def find_aggregate_ids(domain: Domain, aggregate_type: str, prefix: str) -> list[str]:
    """Ids of the aggregates of a type, staged ones too."""
    index = _open(domain)
    if index is None:
        return []
    try:
        return find_ids(index, aggregate_type, prefix, LIMIT)
    finally:
        index.close()


def find_ref_names(domain: Domain, prefix: str) -> list[str]:
    """HEAD, tags and remotes' heads; of commit ids, those of at least four digits that begin so."""
    names = ["HEAD", *domain.directory.names(TAGS)]
    names += [f"{remote}/main" for remote in domain.directory.names(REMOTES)]
    if len(prefix) >= 4 and all(c in "0123456789abcdef" for c in prefix) and len(prefix) <= 64:
        index = _open(domain)
        if index is not None:
            try:
                names += [commit_id.hex() for _, commit_id in index.find_commits(prefix)]
            finally:
                index.close()
    return [name for name in names if name.startswith(prefix)]


def find_schema_words(domain: Domain, kind: str, prefix: str, aggregate: str | None) -> list[str]:
    """Types with a schema, schema versions, or the events or fields that the schema of `aggregate` declares."""
    from dbx.repo.schema import published, schemas

    if kind == "schema":
        words = schemas.find_types(domain.directory)
    elif kind == "version":
        words = ["active", "latest", "working", *(one.id for one in published.chain(domain.directory))]
    else:
        schema = schemas.get_working(domain.directory, aggregate or "").schema
        words = list(schema.events if kind == "event" else schema.columns)
    return [word for word in words if word.startswith(prefix)][:LIMIT]


def _open(domain: Domain) -> Index | None:
    """The index where there is one. Making or mending it is not for a key press."""
    try:
        if not domain.directory.stat(INDEX).st_size:
            return None
    except FileNotFoundError:
        return None
    return Index(domain.directory.path_of(INDEX), timeout_s=_WAIT_S)
