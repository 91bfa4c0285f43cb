"""The id of a domain whose domain.yaml is as dbx wrote it: no YAML is loaded for that. Nearly every command asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.formats.envelope import is_uuid
from dbx.model.names import check_domain_name
from dbx.model.time import normalise_time

if TYPE_CHECKING:
    from dbx.store.fs import Directory

_NAME = "domain.yaml"
_MAX_BYTES = 1 << 20
_PLAIN_END = ["settings: {}", "remotes: {}", ""]


def find_plain_id(directory: Directory) -> str | None:
    """The domain's uuid; None where its file says anything else than its id, its name and when it was made.

    Raises Invalid for a name or a time that is none, as loading the file would.
    """
    lines = (directory.find(_NAME, _MAX_BYTES) or b"").decode("utf-8", "replace").split("\n")
    if len(lines) != 3 + len(_PLAIN_END) or lines[3:] != _PLAIN_END:
        return None
    values = [
        line[len(key) :].removeprefix('"').removesuffix('"')
        for key, line in zip(("id: ", "name: ", "created_at: "), lines, strict=False)
        if line.startswith(key)
    ]
    if len(values) != 3 or not is_uuid(values[0]):
        return None
    check_domain_name(values[1])
    return values[0] if normalise_time(values[2]) == values[2] else None
