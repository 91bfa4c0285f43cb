from __future__ import annotations

from dbx.model.schema import Bounds, Column, EventRule, ReferenceRule, Schema, column_document, to_document


def test_a_schema_without_rules_is_short() -> None:
    schema = Schema("person", events={"person_created": EventRule()})
    assert to_document(schema) == {"aggregate": "person", "events": {"person_created": {}}}


def test_every_rule_has_its_place() -> None:
    column = Column(
        "text",
        required="create",
        format="email",
        length=Bounds(3, 80),
        regex=("@", "^a"),
        contains=("b",),
        does_not_contain=("c",),
        description="Where letters go",
        pii="subject",
    )
    schema = Schema(
        "person",
        description="Somebody",
        snapshot_threshold=100,
        locked=True,
        hidden=True,
        hidden_fields=("email",),
        field_locks=("born",),
        columns={"email": column, "born": Column("date", range=Bounds(min="1900-01-01"))},
        events={"person_created": EventRule(("email",), "the first"), "person_left": EventRule()},
    )
    document = to_document(schema)
    assert list(document) == [
        "aggregate", "description", "snapshot_threshold", "locked", "hidden", "hidden_fields", "field_locks",
        "columns", "events",
    ]  # fmt: skip
    assert document["columns"]["email"] == {
        "type": "text",
        "required": "create",
        "format": "email",
        "length": {"min": 3, "max": 80},
        "regex": ["@", "^a"],
        "contains": ["b"],
        "does_not_contain": ["c"],
        "description": "Where letters go",
        "pii": "subject",
    }
    assert document["columns"]["born"] == {"type": "date", "range": {"min": "1900-01-01"}}
    assert document["events"] == {"person_created": {"fields": ["email"], "note": "the first"}, "person_left": {}}


def test_columns_in_short_and_within_columns() -> None:
    assert column_document(Column("decimal(8,2)")) == "decimal(8,2)"
    assert column_document(Column("boolean", required="always")) == {"type": "boolean", "required": True}
    home = Column("text", format="reference", reference=ReferenceRule(aggregate="address", cascade="nullify"))
    assert column_document(Column("object", properties={"home": home})) == {
        "type": "object",
        "properties": {
            "home": {
                "type": "text",
                "format": "reference",
                "reference": {"integrity": "strong", "aggregate": "address", "cascade": "nullify"},
            }
        },
    }
