"""Deliver events to a plugin once more, those of a type or of one aggregate, beside what it is sent anyway.

One that is cut off goes on where it stopped when it is asked for again.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from dbx.cli import params
from dbx.cli.complete import complete_word
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import line_out, plugin_argument
from dbx.cli.progress import progress
from dbx.cli.render import emit, hint, note
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_word
from dbx.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from dbx.ops.redeliver import How, Replayed
    from dbx.ops.redelivering import Asked


@define()
@plugin_argument
@subject_options("TYPE [ID]")
@click.option(
    "--payload-mode",
    "--payload",
    "payload_mode",
    metavar="MODE",
    shell_complete=complete_word("MODES"),
    help="What is sent; by default as configured.",
)
@click.option(
    "--from-version",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Only from this version on.",
)
@click.option("--since", metavar="TIME", help="Only what was created since: a date, an RFC 3339 time, or how long ago.")
@click.option("--include-archived", is_flag=True, help="Also the events of aggregates that are archived.")
@click.option("--rate", metavar="N", type=params.RATE, help="At most N deliveries a second.")
@click.option("--dry-run", is_flag=True, help="Count what would be delivered, and deliver nothing.")
@click.option("--to-file", metavar="FILE", help="Write what would be delivered to FILE, as JSON lines.")
@click.option("--restart", is_flag=True, help="Begin anew, also where an earlier one was cut off.")
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    payload_mode: str | None,
    from_version: int,
    since: str | None,
    include_archived: bool,
    rate: float | None,
    dry_run: bool,
    to_file: str | None,
    restart: bool,
) -> int:
    from dbx.model import names
    from dbx.ops.redeliver import MIN_RATE, How
    from dbx.ops.redelivering import Asked

    rest = list(words)
    kind = names.check_type(take_word(rest, aggregate_type, "aggregate type"))
    one = aggregate_id if aggregate_id is not None or not rest else rest.pop(0)
    refuse_rest(rest)
    if dry_run and to_file is not None:
        raise UsageError("'--dry-run' and '--to-file' exclude each other")
    if to_file == "":
        raise UsageError("the name of the file is empty")
    if rate is not None and rate < MIN_RATE:
        raise UsageError(f"the rate must be at least {MIN_RATE:g} deliveries a second")
    one = None if one is None else names.check_id(one)
    asked = Asked(kind, one, payload_mode, from_version, since, include_archived)
    done = _replay(invocation, name, asked, How(rate, dry_run, to_file, restart))
    emit(invocation, _document(done, asked, dry_run=dry_run, to_file=to_file), _lines(done, asked, dry_run, to_file))
    return int(done.failures > 0)


def _replay(invocation: Invocation, name: str, asked: Asked, how: How) -> Replayed:
    from dbx.ops.redeliver import replay
    from dbx.ops.redelivering import Watcher

    def resume(delivered: int) -> None:
        note(invocation, f"going on behind {delivered} event(s) that were delivered before; --restart begins anew")

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it ends as with Ctrl-C: in order
    with session(invocation) as opened, progress(invocation, None, "replaying") as bar:

        def begin(total: int, seen: int) -> None:
            bar.total, bar.done = total, seen

        def tell(line: str) -> None:
            bar.close()
            line_out(line)

        try:
            return replay(opened, name, asked, how, Watcher(begin, bar.update, resume, tell))
        except KeyboardInterrupt:
            bar.close()
            if not how.dry_run and how.to_file is None:
                hint(invocation, "run the same command again to go on where it stopped")
            raise


def _document(done: Replayed, asked: Asked, *, dry_run: bool, to_file: str | None) -> dict[str, Any]:
    return {
        "plugin": done.plugin.name,
        "kind": done.plugin.kind,
        "aggregate_type": asked.aggregate_type,
        "aggregate_id": asked.aggregate_id,
        "payload_mode": done.plugin.payload_mode,
        "dry_run": dry_run,
        "file": to_file,
        "events": done.events,
        "replayed": 0 if dry_run or to_file is not None else done.events,
        "aggregates": done.aggregates,
        "earlier": done.earlier,
        "failed": done.failures,
        "failures": [
            {
                **one._asdict(),
                "event_id": str(one.event_id),
            }
            for one in done.failed
        ],
    }


def _lines(done: Replayed, asked: Asked, dry_run: bool, to_file: str | None) -> list[str]:
    """EventDBX's sentences."""
    kind, name = asked.aggregate_type, asked.aggregate_id
    via = f"via plugin {done.plugin.label} (payload={done.plugin.payload_mode})"
    of = f"for {kind}::{name}" if name is not None else f"across {done.aggregates} aggregate(s) for '{kind}'"
    did = "would replay" if dry_run else "wrote" if to_file is not None else "replayed"
    if not done.events:
        lines = [f"no events replayed for {f'{kind}::{name}' if name is not None else repr(kind)} {via}"]
    else:
        lines = [f"{did} {done.events} event(s) {of} {via}"]
        if to_file is not None:
            lines[0] += f" to {to_file}"
    if done.failures:
        lines.append(f"{done.failures} event(s) could not be delivered and were left out")
    return lines
