"""What the commands about plugins and the queue share: options, the runner, and how things are shown."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli import complete, params
from dbx.cli.render import emit, hint, pairs
from dbx.cli.report import say
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import Invalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.cli.context import Invocation
    from dbx.model.plugin import Config, Plugin
    from dbx.ops.session import Session
    from dbx.repo.delivery.jobs import JobShown, PluginState

    F = TypeVar("F", bound=Callable[..., Any])

MAX_HEADER_FILE_BYTES = 64 * 1024
_WORDS = {"http": "HTTP", "tcp": "TCP", "log": "Log", "process": "Process"}


class _PluginName(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    name = "plugin"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from dbx.model.plugin import check_plugin_name

        return check_plugin_name(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        return complete.complete_plugin(ctx, param, incomplete)


PLUGIN = _PluginName()
plugin_argument = click.argument("name", metavar="PLUGIN", type=PLUGIN)


def given_options(function: F) -> F:
    """Decorator: what may be said of a plugin of any kind, as keyword arguments for `given_of`."""
    for option in (
        click.option(
            "--on-dead",
            metavar="skip|hold",
            shell_complete=complete.complete_word("ON_DEAD"),
            help="Whether an aggregate goes on behind a dead event.",
        ),
        click.option(
            "--include-hidden/--no-include-hidden", default=None, help="Send also the fields that schemas hide."
        ),
        click.option(
            "--emit-events", metavar="true|false", type=click.BOOL, help="Whether it gets events (default true)."
        ),
        click.option("--disable", is_flag=True, help="Configure it disabled."),
        click.option(
            "--payload",
            "--payload-mode",
            "payload_mode",
            metavar="MODE",
            shell_complete=complete.complete_word("MODES"),
            help="all, event-only, state-only, schema-only, event-and-schema or extensions-only.",
        ),
    ):
        function = option(function)
    return function


def name_option(function: F) -> F:
    """Decorator: --name, which is required."""
    return click.option("--name", metavar="NAME", type=PLUGIN, required=True, help="The plugin's name.")(function)


def reach_options(function: F) -> F:
    """Decorator: `allow_private` and `timeout_s`."""
    option = click.option("--allow-private", is_flag=True, help="Connect also to this machine and to private networks.")
    return timeout_option(option(function))


def timeout_option(function: F) -> F:
    """Decorator: `timeout_s`, None for the kind's default."""
    return click.option(
        "--timeout", "timeout_s", metavar="SECONDS", type=params.SECONDS, help="How long an attempt may take."
    )(function)


def split_pairs(values: Sequence[str], what: str) -> dict[str, str]:
    """`K=V` texts as a mapping. Raises UsageError."""
    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"a {what} is written NAME=VALUE")
        found[key.strip()] = value.strip()
    return found


def read_headers(path: str) -> dict[str, str]:
    """`Name: value` lines of a file, for headers that are secret."""
    data = params.read_bounded(path, MAX_HEADER_FILE_BYTES + 1)
    if len(data) > MAX_HEADER_FILE_BYTES:
        raise Invalid(f"'{path}' has more than {MAX_HEADER_FILE_BYTES} bytes")
    found: dict[str, str] = {}
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            raise Invalid(f"line {number} of '{path}' is not 'Name: value'")
        found[name.strip()] = value.strip()
    return found


def finish_config(invocation: Invocation, name: str, config: Config, given: dict[str, Any]) -> None:
    """Configure a plugin, and say so."""
    from dbx.model.plugin import shown_value
    from dbx.ops.plugin import Given, configure

    with session(invocation) as opened:
        made = configure(opened, name, config, Given(**given))
    done = "configured" if made.enabled else "disabled"
    emit(invocation, shown_value(made), [f"{_WORDS[made.kind]} plugin '{made.name}' {done}"])


def line_out(text: str) -> None:
    """A line for standard error, from a plugin or about one."""
    say(escape(text) + "\n")


def plugin_line(plugin: Plugin) -> str:
    """A plugin in a list, as EventDBX has it."""
    state = "enabled" if plugin.enabled else f"disabled (enable with plugin enable {plugin.name})"
    more = "" if plugin.payload_mode == "all" else f", payload={plugin.payload_mode}"
    silent = "" if plugin.emit_events else ", emit_events=false"
    return f"  - {plugin.kind} ({plugin.name}) - {state}{more}{silent}"


def time_text(at: int | None) -> str | None:
    """Milliseconds since the Unix epoch as a time."""
    if at is None:
        return None
    from dbx.model.time import format_time

    return format_time(at * 1000)


def runtime_value(runner: int | None) -> dict[str, Any]:
    """Who runs a plugin, in EventDBX's words: the plugins of a domain run while their runner does."""
    return {"state": "stopped" if runner is None else "running", "pid": runner or None}


def say_idle(invocation: Invocation, waiting: int, runner: int | None) -> None:
    """Tell how what waits gets delivered, where nobody does it."""
    if waiting and runner is None:
        hint(invocation, "nobody delivers what waits: 'dbx plugin run' does, or 'dbx plugin run --once'")


def state_value(state: PluginState, runner: int | None) -> dict[str, Any]:
    """How a plugin stands, in JSON."""
    plugin = state.plugin
    return {
        "name": plugin.name,
        "kind": plugin.kind,
        "enabled": plugin.enabled,
        "emit_events": plugin.emit_events,
        "runtime": runtime_value(runner),
        "pending": state.behind,
        "processing": state.processing,
        "done": state.done,
        "dead": state.dead,
        "lag_events": state.behind + state.processing,
        "lag_seconds": round(state.lag_s, 3),
        "rate": None if state.rate is None else round(state.rate, 2),
        "cursor": state.cursor,
        "head": state.head,
        "last_delivered_at": time_text(state.delivered_at),
        "last_error": state.error,
        "last_error_at": time_text(state.error_at),
    }


def job_value(job: JobShown, domain_id: str) -> dict[str, Any]:
    """A job, in JSON."""
    return {
        "id": str(job.event_id),
        "plugin": job.plugin.label,
        "status": job.status,
        "attempts": job.attempts,
        "next_retry_at": time_text(job.next_at),
        "last_error": job.error,
        "event_id": str(job.event_id),
        "delivery_id": f"{domain_id}/{job.plugin.name}/{job.position}",
        "position": job.position,
        "aggregate_type": job.aggregate_type,
        "aggregate_id": job.aggregate_id,
    }


def job_line(job: JobShown) -> str:
    """A job in a list, as EventDBX has it."""
    return "  " + pairs(
        {
            "id": job.event_id,
            "plugin": job.plugin.label,
            "status": job.status,
            "attempts": job.attempts,
            "next_retry": time_text(job.next_at) or "-",
            "last_error": job.error or "-",
        }
    )


def run_now(invocation: Invocation, names: tuple[str, ...], *, once: bool) -> None:
    """Run the plugins, until a signal or, with `once`, until nothing is due; and say what was done."""
    import signal
    import threading

    from dbx.ops.deliver import run_plugins
    from dbx.ops.plugin import list_plugins

    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    with session(invocation) as opened:
        if not names and once and not any(plugin.gets_events for plugin in list_plugins(opened)):
            emit(invocation, {"plugins": []}, ["(no plugins enabled)"])
            return
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            started = partial(_announce, invocation, opened, once=once)
            ran = run_plugins(opened, names, once=once, stop=stop, say=line_out, started=started)
        finally:
            for number, action in before.items():
                signal.signal(number, action)
    document = {
        "plugins": [
            {
                "name": one.plugin.name,
                "kind": one.plugin.kind,
                "delivered": one.delivered,
                "failed": one.failed,
                "dead": one.dead,
            }
            for one in ran
        ]
    }
    lines = [f"{one.plugin.label}: delivered {one.delivered}, failed {one.failed}, dead {one.dead}" for one in ran]
    emit(invocation, document, lines)


@contextmanager
def plugins_beside(invocation: Invocation, *, wanted: bool, once: bool) -> Iterator[None]:
    """Run the plugins in a thread while something else goes on; with `once` behind it, what is due then.

    Raises Locked where another process runs them.
    """
    import signal
    import threading

    from dbx.ops.deliver import run_plugins

    stop, ready = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with session(invocation) as opened:
                run_plugins(opened, once=once, stop=stop, say=line_out, started=ready.set)
        except BaseException as error:  # raised again below, in the thread that waits for it
            failures.append(error)
        finally:
            ready.set()

    if not wanted or once:
        yield
        if wanted:
            run()
    else:
        thread = threading.Thread(target=run, name="plugins", daemon=True)
        thread.start()
        ready.wait()
        try:
            if not failures:
                yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # what the signal meant to break off has ended
            stop.set()
            thread.join()
    if failures:
        raise failures[0]


def _announce(invocation: Invocation, opened: Session, *, once: bool) -> None:
    if not once and not invocation.quiet:
        line_out(f"dbx: running the plugins of domain '{opened.domain.name}', process {os.getpid()}")
