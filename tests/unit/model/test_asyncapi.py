from __future__ import annotations

import json

from dbx.model.asyncapi import export_asyncapi
from dbx.model.schema import Column, EventRule, Schema

_SCHEMAS = {
    "person": Schema(
        "person",
        "Somebody",
        columns={"name": Column("text", required="always")},
        events={"person_created": EventRule(note="the first"), "person_left": EventRule(("why",))},
    ),
    "farm": Schema("farm", events={"farm_opened": EventRule()}),
}


def test_one_channel_for_a_type_and_one_message_for_an_event() -> None:
    document = export_asyncapi(_SCHEMAS, title="herds", version="1")
    assert document["asyncapi"] == "3.0.0"
    assert document["info"] == {"title": "herds", "version": "1"}
    assert list(document["channels"]) == ["farm", "person"]
    assert document["channels"]["person"] == {
        "address": "person",
        "messages": {
            "person_created": {"$ref": "#/components/messages/person.person_created"},
            "person_left": {"$ref": "#/components/messages/person.person_left"},
        },
        "description": "Somebody",
    }
    assert document["operations"]["send_person"]["channel"] == {"$ref": "#/channels/person"}
    assert document["components"]["messages"]["person.person_created"] == {
        "name": "person_created",
        "title": "person_created",
        "summary": "the first",
        "payload": {"$ref": "#/components/schemas/person.person_created"},
    }
    assert document["components"]["schemas"]["person.person_created"] == {
        "title": "person_created",
        "description": "the first",
        "type": "object",
        "properties": {"name": {"$ref": "#/components/schemas/person/properties/name"}},
        "required": ["name"],
    }


def test_every_reference_leads_somewhere() -> None:
    document = export_asyncapi(_SCHEMAS, title="herds", version="1")
    todo: list[object] = [document]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                at = document
                for part in each["$ref"].removeprefix("#/").split("/"):
                    at = at[part]
            todo += each.values()
        elif isinstance(each, list):
            todo += each


def test_the_same_schemas_give_the_same_document() -> None:
    turned = dict(reversed(_SCHEMAS.items()))
    one, other = (export_asyncapi(schemas, title="t", version="1") for schemas in (_SCHEMAS, turned))
    assert json.dumps(one) == json.dumps(other)
