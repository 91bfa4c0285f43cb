"""Reading many aggregates of index.db: pages in an order, only the columns that are looked at, and rows by number."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto.vault import is_sealed
from dbx.errors import Corrupt
from dbx.store.indexlayout import COLUMNS, IndexDamaged, Row, checked_row
from dbx.store.sealedrows import EXTENSIONS, STATE, open_text

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
    sealed = _sealed_columns(index, columns)
    more = ", key, version" if sealed else ""
    sql = f"SELECT {', '.join(columns)}{more} FROM aggregate WHERE {where.sql} ORDER BY {order} LIMIT {take}"
    found: list[tuple[Any, ...]] = index.all(sql, *where.values)
    return [_opened(index, row, sealed) for row in found] if sealed else found


def _sealed_columns(index: Index, columns: Sequence[str]) -> dict[int, bytes]:
    """Which of some columns may be sealed, and as what."""
    if index.vault is None or not index.vault.seals:
        return {}
    kinds = {"state": STATE, "extensions": EXTENSIONS}
    return {at: kinds[column] for at, column in enumerate(columns) if column in kinds}


def _opened(index: Index, row: tuple[Any, ...], sealed: dict[int, bytes]) -> tuple[Any, ...]:
    """The columns of a row, opened. Raises KeyFailure, IndexDamaged."""
    values = list(row)
    version, key = values.pop(), values.pop()
    try:
        for at, column in sealed.items():
            values[at] = open_text(values[at], key, version, column, index.vault)
            if is_sealed(values[at]) and index.vault is not None:
                raise index.vault.missing()
    except (Corrupt, TypeError, AttributeError, OverflowError) as error:
        raise IndexDamaged("a row of the index is damaged", hint="run 'dbx reindex'") from error
    return tuple(values)


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
            rows[found[0]] = checked_row(found, index.vault)
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


def find_number(index: Index, aggregate_type: str, aggregate_id: str) -> tuple[int, bool] | None:
    """The row number of an aggregate, and whether it is archived, without its state; None where there is none."""
    found = index.one("SELECT n, archived FROM aggregate WHERE type = ? AND id = ?", aggregate_type, aggregate_id)
    return None if found is None else (found[0], bool(found[1]))


def count_events(index: Index, aggregate_type: str) -> int:
    """How many events the aggregates of a type have."""
    return int(index.one("SELECT coalesce(sum(version), 0) FROM aggregate WHERE type = ?", aggregate_type)[0])


def read_active_types(index: Index) -> list[str]:
    """The types of which any aggregate is not archived, sorted."""
    return [found[0] for found in index.all("SELECT DISTINCT type FROM aggregate WHERE NOT archived ORDER BY type")]


def has_other_texts(index: Index, mark: bytes) -> bool:
    """Whether a state or extensions, stored or staged, is anything but empty or sealed behind these first bytes."""
    other = "state != CAST('{}' AS BLOB) AND substr(state, 1, ?1) != ?2"
    both = f"{other} OR {other.replace('state', 'extensions')}"
    return any(
        index.one(f"SELECT 1 FROM {table} WHERE {both} LIMIT 1", len(mark), mark) is not None
        for table in ("aggregate", "staged")
    )
