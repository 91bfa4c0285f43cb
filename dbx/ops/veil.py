"""What schemas hide from looks at state: fields, and whole types (dbx-schema(5)). Nothing is hidden in history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Aggregate
    from dbx.model.schema import Schema
    from dbx.ops.session import Session


class Veil:
    """Takes hidden fields out of states. Each type's schema is looked up once."""

    def __init__(self, session: Session, *, lifted: bool = False) -> None:
        """With `lifted` nothing is hidden."""
        self._domain = session.domain
        self._known: dict[str, Schema | None] = {}
        # Where nothing was ever declared nothing is loaded.
        self._is_open = lifted or not self._domain.directory.names("schemas")

    def cover(self, aggregate: Aggregate) -> Aggregate:
        """The aggregate without the fields that its schema hides; itself where there are none in it."""
        schema = self._schema(aggregate.aggregate_type)
        if schema is None or not schema.hidden_fields or not aggregate.state.keys() & set(schema.hidden_fields):
            return aggregate
        state = {name: value for name, value in aggregate.state.items() if name not in schema.hidden_fields}
        return aggregate._replace(state=state)

    def hides(self, aggregate_type: str, field: str) -> bool:
        """Whether the schema of a type hides one of its fields."""
        schema = self._schema(aggregate_type)
        return schema is not None and field in schema.hidden_fields

    @property
    def hides_types(self) -> bool:
        """Whether some type is hidden as a whole: then a list is shorter than what was asked for."""
        if self._is_open:
            return False
        from dbx.repo.schema.schemas import find_types

        found = (self._schema(name) for name in find_types(self._domain.directory))
        return any(schema is not None and schema.hidden for schema in found)

    def pass_visible(self, aggregates: Iterator[Aggregate]) -> Iterator[Aggregate]:
        """The aggregates of types that are not hidden, each covered."""
        for aggregate in aggregates:
            schema = self._schema(aggregate.aggregate_type)
            if schema is None or not schema.hidden:
                yield self.cover(aggregate)

    def _schema(self, aggregate_type: str) -> Schema | None:
        if self._is_open:
            return None
        if aggregate_type not in self._known:
            self._known[aggregate_type] = self._find(aggregate_type)
        return self._known[aggregate_type]

    def _find(self, aggregate_type: str) -> Schema | None:
        """Of a file with faults, what was published last: reading must not fail for it, nor show what was hidden."""
        from dbx.repo.rules import load_rules, load_version_rules
        from dbx.repo.schema import published

        with self._domain.mutex:
            self._domain.sync()
            try:
                return load_rules(self._domain, strict=False).find_schema(aggregate_type)
            except Invalid:
                head = published.find_head(self._domain.directory)
                return None if head is None else load_version_rules(self._domain, head).find_schema(aggregate_type)
