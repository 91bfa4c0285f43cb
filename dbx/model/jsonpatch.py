"""JSON Patch (RFC 6902) and JSON Pointer (RFC 6901): the operations add, replace and remove.

Those are the ones that say what a value becomes; test, move and copy are refused by name.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.model.names import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_OPERATIONS = 10_000
OPERATIONS = ("add", "replace", "remove")
_FOREIGN = ("test", "move", "copy")
_EXAMPLE = 'write it like [{"op":"replace","path":"/status","value":"paid"}]'
_match_index = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII).fullmatch
_match_token = re.compile(r"(?:[^~]|~[01])*").fullmatch


def parse_pointer(text: object) -> tuple[str, ...]:
    """The reference tokens of a JSON Pointer, unescaped; none for the whole document. Raises Invalid."""
    if not isinstance(text, str):
        raise Invalid("the path must be text")
    if text == "":
        return ()
    if not text.startswith("/"):
        raise Invalid(f"path {quote(text)} must begin with '/'")
    if not _match_token(text):
        raise Invalid(f"path {quote(text)} has a '~' that is neither '~0' nor '~1'")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))


def apply_patch(document: Any, patch: Any) -> Any:
    """The document after every operation; it is changed in place, but for its root. Raises Invalid at the first fault.

    A fault names the number of its operation, from 1.
    """
    for number, operation in enumerate(_operations(patch), 1):
        try:
            document = _apply(document, operation)
        except Invalid as error:
            raise _numbered(number, error) from None
    return document


def patched_payload(state: Mapping[str, Any], patch: Any) -> dict[str, Any]:
    """What an event must hold so that a state becomes the patched one: each touched top-level key, with its new value.

    The state itself stays as it is. Raises Invalid, also where a key of the state would have to go: states only grow.
    """
    operations = _operations(patch)
    # Only what is touched is copied.
    document = dict(state)
    touched: dict[str, None] = {}
    for number, operation in enumerate(operations, 1):
        try:
            tokens = parse_pointer(operation.get("path", ""))
            if not tokens and "path" in operation:
                raise Invalid("the whole state cannot be patched", hint="a path names a member, as in /status")
            if tokens and tokens[0] not in touched:
                touched[tokens[0]] = None
                if tokens[0] in document:
                    document[tokens[0]] = copy.deepcopy(document[tokens[0]])
            document = _apply(document, operation)
        except Invalid as error:
            raise _numbered(number, error) from None
    for key in touched:
        if key in state and key not in document:
            raise Invalid(
                f"patch removed key {quote(key)} and removals are not supported",
                hint="events only set members of the state: replace it with null instead",
                details={"key": key},
            )
    return {key: document[key] for key in touched if key in document}


def _operations(patch: Any) -> Sequence[dict[str, Any]]:
    if not isinstance(patch, list):
        raise Invalid(
            "the patch must be an array of operations", hint='[{"op":"replace","path":"/status","value":"paid"}]'
        )
    if len(patch) > MAX_OPERATIONS:
        raise Invalid(f"the patch has {len(patch)} operations, at most {MAX_OPERATIONS} are allowed")
    for number, operation in enumerate(patch, 1):
        if not isinstance(operation, dict):
            raise _numbered(number, Invalid("it must be an object"))
    return patch


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    op = operation.get("op")
    if op not in OPERATIONS:
        if "op" not in operation:
            raise Invalid("member 'op' is missing")
        if not isinstance(op, str):
            raise Invalid("member 'op' must be text")
        known = "it is part of RFC 6902, but " if op in _FOREIGN else ""
        raise Invalid(f"unsupported patch operation {quote(op)}", hint=f"{known}dbx takes add, replace and remove")
    if "path" not in operation:
        raise Invalid("member 'path' is missing")
    if op != "remove" and "value" not in operation:
        raise Invalid("member 'value' is missing")
    tokens = parse_pointer(operation["path"])
    if not tokens:
        if op == "remove":
            raise Invalid("the whole document cannot be removed")
        return operation["value"]
    parent = document
    for token in tokens[:-1]:
        parent = _step(parent, token, operation["path"])
    _change(parent, tokens[-1], op, operation)
    return document


def _step(parent: Any, token: str, path: str) -> Any:
    if isinstance(parent, dict) and token in parent:
        return parent[token]
    if isinstance(parent, list):
        return parent[_index(token, len(parent) - 1, path)]
    raise _nowhere(path)


def _change(parent: Any, token: str, op: str, operation: dict[str, Any]) -> None:
    path = operation["path"]
    if isinstance(parent, dict):
        if op != "add" and token not in parent:
            raise _nowhere(path)
        if op == "remove":
            del parent[token]
        else:
            parent[token] = operation["value"]
    elif isinstance(parent, list):
        if op == "add":
            at = len(parent) if token == "-" else _index(token, len(parent), path)  # noqa: S105 - no password
            parent.insert(at, operation["value"])
        elif op == "remove":
            del parent[_index(token, len(parent) - 1, path)]
        else:
            parent[_index(token, len(parent) - 1, path)] = operation["value"]
    else:
        raise _nowhere(path)


def _index(token: str, last: int, path: str) -> int:
    if not _match_index(token):
        raise Invalid(f"path {quote(path)} leads into an array, where {quote(token)} is no index")
    if int(token) > last:
        raise Invalid(f"path {quote(path)} leads beyond the end of an array")
    return int(token)


def _nowhere(path: str) -> Invalid:
    return Invalid(f"path {quote(path)} leads nowhere")


def _numbered(number: int, error: Invalid) -> Invalid:
    details = {**error.details, "operation": number}
    return Invalid(f"cannot patch: operation {number}: {error.message}", hint=error.hint, details=details)
