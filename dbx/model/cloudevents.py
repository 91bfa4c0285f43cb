"""Events as CloudEvents 1.0 in JSON (cloudevents.io, "JSON Event Format"), out and in. Pure.

    {"specversion":"1.0","id":"<event id>","source":"urn:uuid:<domain>","type":"order_placed","subject":"order/o-17",
     "time":"2026-…Z","datacontenttype":"application/json","data":{…payload…},
     "dbxversion":3,"dbxactor":"ops:jane","dbxnote":"…","dbxhash":"<leaf>","dbxmetadata":"{\\"@source\\":…}"}

Extension attributes have lower-case names without separators and simple values, so metadata travels as JSON text.
Coming in, what dbx wrote comes back as it was; what others wrote is mapped as `to_item` says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats import canonical
from dbx.formats.envelope import Actor
from dbx.model import names
from dbx.model.snowflake import parse_event_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.model.event import Event

SPECVERSION = "1.0"
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_CORE = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64")
)
_OURS = frozenset(("dbxversion", "dbxactor", "dbxnote", "dbxhash", "dbxmetadata"))


class Incoming(NamedTuple):
    """A CloudEvent as an object that `apply --from` takes, and the actor it names."""

    item: dict[str, Any]
    actor: Actor | None


def to_cloudevent(event: Event, domain_id: str) -> dict[str, Any]:
    """An event as a CloudEvent. `data` is left out where the body was erased."""
    value: dict[str, Any] = {
        "specversion": SPECVERSION,
        "id": str(event.event_id),
        "source": f"urn:uuid:{domain_id}",
        "type": event.event_type,
        "subject": f"{event.aggregate_type}/{event.aggregate_id}",
        "time": event.created_at,
    }
    if event.payload is not None:
        value["datacontenttype"] = "application/json"
        value["data"] = event.payload
    value["dbxversion"] = event.version
    if event.issued_by is not None:
        value["dbxactor"] = f"{event.issued_by.group}:{event.issued_by.user}"
    if event.note:
        value["dbxnote"] = event.note
    if event.metadata:
        value["dbxmetadata"] = canonical.encode_text(event.metadata)
    value["dbxhash"] = event.hash
    return value


def to_item(value: Any, aggregate_type: str | None = None) -> Incoming:
    """What a CloudEvent says, as an object that `apply --from` takes. Raises Invalid.

    `subject` is TYPE/ID, or with `aggregate_type` the id alone; without a subject the source's last part is the id.
    `type` becomes the event type: its last words, in snake_case, with dots as underscores. `data` becomes the payload;
    what is no object becomes its member `value`. `id` and `source` of others go to metadata as `@ce_id`, `@ce_source`,
    and so do extension attributes, as `@ce_<name>`. An id that is one of dbx's event ids is kept.
    """
    if not isinstance(value, dict):
        raise Invalid("a CloudEvent is a JSON object")
    if value.get("specversion") != SPECVERSION:
        raise Invalid("the CloudEvent is not of specversion 1.0")
    texts = {name: _text(value, name, required=name in ("id", "source", "type")) for name in ("id", "source", "type")}
    kind, name = _subject(value, aggregate_type, texts["source"])
    item: dict[str, Any] = {
        "aggregate_type": kind,
        "aggregate_id": name,
        "event_type": _event_type(texts["type"]),
        "payload": _payload(value),
    }
    metadata: dict[str, Any] = {}
    if "dbxmetadata" in value:
        metadata = _our_metadata(_text(value, "dbxmetadata"))
    if "dbxversion" not in value:
        metadata = {**_foreign(value, texts), **metadata}
    event_id = _own_id(texts["id"]) if "dbxversion" in value else None
    if event_id is not None:
        item["event_id"] = event_id
    if metadata:
        item["metadata"] = metadata
    if value.get("time") is not None:
        item["created_at"] = _text(value, "time")
    if value.get("dbxnote") is not None:
        item["note"] = _text(value, "dbxnote")
    return Incoming(item, _actor(value))


def _subject(value: Mapping[str, Any], aggregate_type: str | None, source: str) -> tuple[str, str]:
    subject = _text(value, "subject", required=False)
    if aggregate_type is not None:
        name = subject or source.rstrip("/").rpartition("/")[2]
        return aggregate_type, name.removeprefix(f"{aggregate_type}/")
    kind, slash, name = subject.partition("/")
    if not slash:
        raise Invalid(
            "the CloudEvent's subject is not TYPE/ID", hint="say which type its events are of with --aggregate"
        )
    return kind, name


def _event_type(text: str) -> str:
    """`com.example.order.Placed.v1` is order_placed_v1 without its domain; dbx's own types stay as they are."""
    try:
        return names.check_event_type(text)
    except Invalid:
        pass
    words = [word for word in re.split(r"[^A-Za-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)) if word]
    return names.check_event_type("_".join(words).lower())


def _payload(value: Mapping[str, Any]) -> dict[str, Any]:
    if "data_base64" in value:
        raise Invalid("the CloudEvent's data is binary, and payloads are JSON objects")
    if "data" not in value or value["data"] is None:
        return {}
    kind = _text(value, "datacontenttype", required=False)
    if kind and not _JSON.fullmatch(kind) and not isinstance(value["data"], str):
        raise Invalid("the CloudEvent's datacontenttype is not JSON")
    data = value["data"]
    return data if isinstance(data, dict) else {"value": data}


def _foreign(value: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"@ce_id": texts["id"], "@ce_source": texts["source"]}
    for name, extension in value.items():
        if name not in _CORE and name not in _OURS:
            if not re.fullmatch("[a-z0-9]{1,64}", name):
                raise Invalid("an extension attribute of a CloudEvent has a name of lower-case letters and digits")
            found[f"@ce_{name}"] = extension
    if "dataschema" in value:
        found["@ce_dataschema"] = value["dataschema"]
    return found


def _our_metadata(text: str) -> dict[str, Any]:
    found = canonical.loads(text, what="dbxmetadata")
    if not isinstance(found, dict):
        raise Invalid("dbxmetadata is not the text of a JSON object")
    return found


def _actor(value: Mapping[str, Any]) -> Actor | None:
    text = _text(value, "dbxactor", required=False)
    if not text:
        return None
    group, colon, user = text.partition(":")
    if not colon or not group or not user:
        raise Invalid("dbxactor is not 'group:user'")
    return Actor(group, user)


def _own_id(text: str) -> int | None:
    try:
        return parse_event_id(text)
    except Invalid:
        return None


def _text(value: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    found = value.get(name)
    if found is None and not required:
        return ""
    if not isinstance(found, str) or not found:
        raise Invalid(f"the CloudEvent's '{name}' is not a text")
    return found
