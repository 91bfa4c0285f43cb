"""Schemas as an AsyncAPI 3.0 document: one channel for an aggregate type, one message for an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.model.jsonschema import export_json_schema, payload_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.model.schema import Schema


def export_asyncapi(schemas: Mapping[str, Schema], *, title: str, version: str) -> dict[str, Any]:
    """The document as plain data; `schemas` by aggregate type. The same schemas give the same document.

    `components.schemas` holds the state of each aggregate (`person`) and the payload of each event
    (`person.person_created`); none uses a keyword that AsyncAPI's own schema objects do not have.
    """
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    shapes: dict[str, Any] = {}
    for aggregate, schema in sorted(schemas.items()):
        shapes[aggregate] = {
            k: v for k, v in export_json_schema(schema).items() if k not in ("$defs", "$id", "$schema")
        }
        channels[aggregate] = {"address": aggregate, "messages": {}}
        if schema.description is not None:
            channels[aggregate]["description"] = schema.description
        operations[f"send_{aggregate}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{aggregate}"},
            "summary": f"The events of '{aggregate}', in the order of its versions",
        }
    for aggregate, event, payload in payload_schemas(schemas, "#/components/schemas/"):
        name = f"{aggregate}.{event}"
        shapes[name] = payload
        message: dict[str, Any] = {"name": event, "title": event}
        if "description" in payload:
            message["summary"] = payload["description"]
        message["payload"] = {"$ref": f"#/components/schemas/{name}"}
        messages[name] = message
        channels[aggregate]["messages"][event] = {"$ref": f"#/components/messages/{name}"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": shapes},
    }
