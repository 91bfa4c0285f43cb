"""JSON Schema to a schema, as far as it maps; what does not is told, place by place.

What jsonschema wrote comes back as the same schema. Of other documents types, lengths, numbers' bounds, patterns, the
formats that dbx has, nested objects and local references map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.model.jsonschema import FORMATS
from dbx.model.names import quote
from dbx.model.schema import Problem

if TYPE_CHECKING:
    from dbx.model.schema import Path

_SILENT = frozenset({"$schema", "$id", "$anchor", "$comment", "title", "examples", "default", "$defs", "definitions"})
_ROOT_KEYS = ("snapshot_threshold", "locked", "hidden", "hidden_fields", "field_locks")
_TYPES = {"string": "text", "integer": "integer", "number": "float", "boolean": "boolean", "object": "object"}
_TEXT_FORMATS = {theirs: ours for ours, theirs in FORMATS.items()} | {"email": "email", "uri": "url"}
_TYPE_FORMATS = {"date-time": "timestamp", "date": "date"}
_MAX_DEPTH = 24
_MAX_PROBLEMS = 200
_MAX_COLUMNS = 5000  # two references to the document in each of 24 levels would be millions


def import_json_schema(document: Any, *, aggregate: str) -> tuple[dict[str, Any], list[Problem]]:
    """(a document for parse_schema, what did not map). The document has one event, `<aggregate>_created`, unless
    `$defs` holds the events of an export. A required property is required on creation.
    """
    return _Importer(document).schema(aggregate)


class _Importer:
    """Reads one JSON Schema. `_root` is what `#` refers to."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._problems: list[Problem] = []
        self._columns = 0

    def schema(self, aggregate: str) -> tuple[dict[str, Any], list[Problem]]:
        """The whole of it."""
        found: dict[str, Any] = {"aggregate": aggregate}
        root, path = self._resolve(self._root, ())
        if not isinstance(root, dict) or root.get("type", "object") != "object":
            self._tell((), "the JSON Schema is not that of an object")
            return {**found, "events": {f"{aggregate}_created": {}}}, self._problems
        if isinstance(root.get("description"), str):
            found["description"] = root["description"]
        for key in _ROOT_KEYS:
            if (value := root.get(f"x-dbx-{key.replace('_', '-')}")) is not None:
                found[key] = value
        if columns := self._properties(root, path, 0):
            found["columns"] = columns
        found["events"] = self._events(root, aggregate)
        known = {"type", "description", "properties", "required", "additionalProperties"}
        self._tell_rest(root, path, known | {f"x-dbx-{key.replace('_', '-')}" for key in _ROOT_KEYS})
        if root.get("additionalProperties", True) is not True:
            self._tell(
                (*path, "additionalProperties"), "fields without a column may hold anything; list an event's 'fields'"
            )
        return found, self._problems

    def _events(self, root: dict[str, Any], aggregate: str) -> dict[str, Any]:
        events: dict[str, Any] = {}
        if str(root.get("$id", "")).startswith("urn:dbx:aggregate:"):
            for name, payload in root.get("$defs", {}).items():
                event: dict[str, Any] = {}
                if payload.get("additionalProperties") is False:
                    event["fields"] = list(payload.get("properties", {}))
                if isinstance(payload.get("description"), str):
                    event["note"] = payload["description"]
                events[name] = event
        return events or {f"{aggregate}_created": {}}

    def _properties(self, document: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
        properties = document.get("properties", {})
        required = document.get("required", [])
        if not isinstance(properties, dict) or not _is_text_list(required):
            self._tell(path, "'properties' or 'required' is not what JSON Schema says")
            return {}
        columns: dict[str, Any] = {}
        for name, below in properties.items():
            column = self._column(below, (*path, "properties", name), depth)
            if name in required and "required" not in column:
                column["required"] = "create"
            columns[name] = column if len(column) > 1 else column["type"]
        for name in required:
            if name not in properties:
                self._tell((*path, "required"), f"field {quote(str(name))} is required but has no schema")
        return columns

    def _column(self, document: Any, path: Path, depth: int) -> dict[str, Any]:
        document, path = self._resolve(document, path)
        self._columns += 1
        if depth > _MAX_DEPTH or self._columns > _MAX_COLUMNS:
            self._tell(path, "nests too deep, or refers to itself: taken as json")
            return {"type": "json"}
        if not isinstance(document, dict):
            if document is not True:
                self._tell(path, "no value is allowed here: taken as json")
            return {"type": "json"}
        column: dict[str, Any] = {"type": self._type(document, path)}
        used = {"type", "description", "x-dbx-type"}
        self._own_words(document, column, used)
        if column["type"] == "text":
            self._text(document, column, path, used)
        elif column["type"] in ("integer", "float") or column["type"].startswith("decimal"):
            self._ends(document, column, used)
        elif column["type"] == "object":
            used |= {"properties", "required"}
            if properties := self._properties(document, path, depth + 1):
                column["properties"] = properties
        elif column["type"] in ("timestamp", "date"):
            used.add("format")
        elif column["type"] == "binary":
            used.add("contentEncoding")
        elif column["type"] == "boolean" and "x-dbx-type" in document:
            used |= {"pattern", "minimum", "maximum"}
        if isinstance(document.get("description"), str):
            column["description"] = document["description"]
        self._tell_rest(document, path, used)
        return column

    def _own_words(self, document: dict[str, Any], column: dict[str, Any], used: set[str]) -> None:
        for word in ("required", "pii", "reference", "format", "length", "range"):
            key = f"x-dbx-{word}"
            if key in document:
                value = document[key]
                column[word] = True if word == "required" and value == "always" else value
                used |= {key, "format"} if word == "format" else {key}

    def _type(self, document: dict[str, Any], path: Path) -> str:
        if isinstance(own := document.get("x-dbx-type"), str):
            return own
        named = document.get("type", "object" if "properties" in document else None)
        if isinstance(named, list):
            rest = [name for name in named if name != "null"]
            if len(rest) < len(named):
                self._tell((*path, "type"), "null is no value of a type in dbx")
            named = rest[0] if len(rest) == 1 else None
            if len(rest) > 1:
                self._tell((*path, "type"), "several types at once: taken as json")
        if named == "array":
            self._tell((*path, "type"), "arrays are taken as json, their items are not checked")
        if named == "string":
            if document.get("contentEncoding") == "base64":
                return "binary"
            return _TYPE_FORMATS.get(str(document.get("format")), "text") if "x-dbx-format" not in document else "text"
        return _TYPES.get(str(named), "json")

    def _text(self, document: dict[str, Any], column: dict[str, Any], path: Path, used: set[str]) -> None:
        length = {end: document[key] for end, key in (("min", "minLength"), ("max", "maxLength")) if key in document}
        if length:
            column["length"] = length
        used |= {"minLength", "maxLength"}
        theirs = document.get("format")
        if isinstance(theirs, str) and theirs in _TEXT_FORMATS and "format" not in column:
            column["format"] = _TEXT_FORMATS[theirs]
            used.add("format")
        parts = [(document, path)]
        if isinstance(every := document.get("allOf"), list):
            parts += [(part, (*path, "allOf", index)) for index, part in enumerate(every)]
            used.add("allOf")
        for part, at in parts:
            mapped = self._pattern(part, column) if isinstance(part, dict) else set()
            if part is document:
                used |= mapped
            elif isinstance(part, dict):
                self._tell_rest(part, at, mapped)

    def _pattern(self, part: dict[str, Any], column: dict[str, Any]) -> set[str]:
        """Patterns and parts of text; the keywords that were read."""
        for key, word in (
            ("x-dbx-contains", "contains"), ("x-dbx-does-not-contain", "does_not_contain"), ("x-dbx-regex", "regex"),
        ):  # fmt: skip
            if key in part:
                column.setdefault(word, []).append(part[key])
                return {key, "pattern", "not"}
        if "pattern" in part:
            column.setdefault("regex", []).append(part["pattern"])
        return {"pattern"}

    def _ends(self, document: dict[str, Any], column: dict[str, Any], used: set[str]) -> None:
        ends = {end: document[key] for end, key in (("min", "minimum"), ("max", "maximum")) if key in document}
        if ends and "range" not in column:
            column["range"] = ends
        used |= {"minimum", "maximum"} | ({"pattern"} if "x-dbx-type" in document else set())

    def _resolve(self, document: Any, path: Path) -> tuple[Any, Path]:
        """What a local `$ref` stands for."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(document, dict) or not isinstance(ref := document.get("$ref"), str):
                return document, path
            target = self._find(ref)
            if target is None:
                self._tell((*path, "$ref"), f"{quote(ref)} refers to nothing in this document: taken as json")
                return True, path
            document = (
                {**target, **{k: v for k, v in document.items() if k != "$ref"}} if isinstance(target, dict) else target
            )
        self._tell((*path, "$ref"), "refers to itself: taken as json")
        return True, path

    def _find(self, ref: str) -> Any:
        from urllib.parse import unquote

        if ref != "#" and not ref.startswith("#/"):
            return None
        target = self._root
        for part in ref.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                return None
            target = target[name]
        return target

    def _tell_rest(self, document: dict[str, Any], path: Path, used: set[str]) -> None:
        for key in document:
            if key not in used and key not in _SILENT:
                self._tell((*path, key), f"keyword {quote(str(key))} does not map")

    def _tell(self, path: Path, message: str) -> None:
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems.append(Problem(path, message))


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
