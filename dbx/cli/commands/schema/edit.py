"""Edit a schema in $VISUAL or $EDITOR; what is wrong comes back as comments until it is good."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.editor import edit_text
from dbx.cli.frame import define
from dbx.cli.render import emit, hint
from dbx.cli.schemashapes import schema_value
from dbx.cli.session import session
from dbx.errors import Invalid

_MARK = "#! "


@define()
@click.argument("aggregate", metavar="TYPE", type=params.TYPE)
@pass_invocation
def command(invocation: Invocation, aggregate: str) -> None:
    from dbx.ops.schema import read_text, replace_schema

    with session(invocation) as opened:
        before, path = read_text(opened, aggregate)
        text = before
        while True:
            edited = _without_marks(edit_text(invocation, text, path))
            if edited == before:
                emit(invocation, {"aggregate": aggregate, "changed": False}, [f"schema={aggregate} unchanged"])
                return
            try:
                done = replace_schema(opened, aggregate, edited, expected=before)
                break
            except Invalid as error:
                again = _with_marks(edited, error)
                if again == text:
                    # Nothing was mended: whoever sits there has given up, or nobody does.
                    raise Invalid(
                        f"the schema of '{aggregate}' was left as it was: {error.message}",
                        hint=error.hint,
                        details=error.details,
                    ) from None
                text = again
                hint(invocation, f"the schema has faults: {error.message}")
    emit(invocation, {**schema_value(done.schema), "changed": True}, [f"schema={aggregate} saved"])


def _without_marks(data: bytes) -> bytes:
    return b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(_MARK.encode()))


def _with_marks(data: bytes, error: Invalid) -> bytes:
    """The text with each fault as a comment above the line that it is about."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    faults = error.details.get("lines") or [{"line": error.details.get("line", 1), "message": error.message}]
    for fault in reversed(faults):
        at = min(int(fault["line"]) - 1, len(lines))
        lines.insert(max(at, 0), f"{_MARK}{' '.join(str(fault['message']).split())}\n")
    return "".join(lines).encode()
