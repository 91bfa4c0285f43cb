"""How the commands that import say what came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.render import emit

if TYPE_CHECKING:
    from dbx.cli.context import Invocation
    from dbx.ops.importing import Imported

_SHOWN = 50


def emit_imported(invocation: Invocation, done: Imported) -> None:
    """The numbers, the schemas and the differences."""
    verb = "would import" if done.dry_run else "imported"
    lines = [f"{verb} {done.events} events of {done.aggregates} aggregates"]
    if done.schemas:
        lines.append(f"{verb} schemas: {', '.join(done.schemas)}")
    lines += [f"{one.about}: {one.text}" for one in done.differences[:_SHOWN]]
    if len(done.differences) > _SHOWN:
        lines.append(f"and {len(done.differences) - _SHOWN} differences more; '--json' shows all")
    document = {
        "events": done.events,
        "aggregates": done.aggregates,
        "schemas": done.schemas,
        "differences": [one._asdict() for one in done.differences],
        "commit": done.commit,
        "dry_run": done.dry_run,
    }
    emit(invocation, document, lines)
