"""Reading many aggregates of index.db: pages in an order, only the columns that are looked at, and rows by number."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.store.indexlayout import COLUMNS, Row, checked_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.store.index import Index

_AT_ONCE = 500


class Where(NamedTuple):
    """Conditions over the columns of an aggregate, all of which hold, and the values they are bound to.

    The conditions are made of constants, never of a user's text.
    """

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def and_(self, condition: str, *values: Any) -> Where:
        """One condition more."""
        return Where((*self.conditions, condition), (*self.values, *values))

    @property
    def sql(self) -> str:
        """The text behind WHERE."""
        return " AND ".join(self.conditions) or "1"


def read_columns(index: Index, columns: Sequence[str], where: Where, order: str, take: int) -> list[tuple[Any, ...]]:
    """Some columns of at most `take` aggregates. The rows' checksums are not compared."""
    sql = f"SELECT {', '.join(columns)} FROM aggregate WHERE {where.sql} ORDER BY {order} LIMIT {take}"
    return index.all(sql, *where.values)


def read_numbers(index: Index, where: Where, order: str, take: int) -> array[int]:
    """The row numbers of aggregates in an order, at most `take` of them, -1 for all: eight bytes each."""
    sql = f"SELECT n FROM aggregate WHERE {where.sql} ORDER BY {order} LIMIT {take}"
    return array("q", [found[0] for found in index.all(sql, *where.values)])


def read_rows(index: Index, numbers: Sequence[int]) -> list[Row]:
    """The aggregates with these row numbers, in this order, those that are gone left out. Raises IndexDamaged."""
    rows: dict[int, Row] = {}
    for at in range(0, len(numbers), _AT_ONCE):
        part = numbers[at : at + _AT_ONCE]
        marks = ",".join("?" * len(part))
        for found in index.all(f"SELECT {COLUMNS} FROM aggregate WHERE n IN ({marks})", *part):
            rows[found[0]] = checked_row(found)
    return [rows[n] for n in numbers if n in rows]


def find_times(index: Index, aggregate_type: str, aggregate_id: str) -> tuple[str, str] | None:
    """(created_at, updated_at) of an aggregate."""
    found = index.one(
        "SELECT created_at, updated_at FROM aggregate WHERE type = ? AND id = ?", aggregate_type, aggregate_id
    )
    return None if found is None else (str(found[0]), str(found[1]))


def has_archived(index: Index) -> bool:
    """Whether any aggregate is archived."""
    return index.one("SELECT 1 FROM aggregate WHERE archived LIMIT 1") is not None


def read_active_types(index: Index) -> list[str]:
    """The types of which any aggregate is not archived, sorted."""
    return [found[0] for found in index.all("SELECT DISTINCT type FROM aggregate WHERE NOT archived ORDER BY type")]
