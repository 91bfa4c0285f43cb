"""Exchange a domain with a remote again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import plugins_beside
from dbx.cli.remoteoptions import REMOTE, access, aggregate_options, check_aggregate, reach_options
from dbx.cli.render import emit, flush
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.cli.watching import cycle_line, cycle_value, is_news
from dbx.errors import DbxError, UsageError

if TYPE_CHECKING:
    from dbx.ops.link import Access
    from dbx.ops.watching import Cycle, Plan, Stop, Watcher

INTERVAL_S = 300
MAX_INTERVAL_S = 366 * 86_400
GRACE_S = 5.0
"""How long a cycle may still run once the watcher was told to end."""


@define()
@click.argument("name", metavar="[REMOTE|DOMAIN]", required=False, type=REMOTE)
@click.option(
    "--mode",
    type=click.Choice(["push", "pull", "bidirectional"]),
    default="bidirectional",
    help="What a cycle does (default bidirectional: pull, then push).",
)
@click.option(
    "--interval",
    metavar="DURATION",
    type=params.DURATION,
    help=f"How often (default {INTERVAL_S} seconds, or 10m, 2h).",
)
@click.option("--run-once", is_flag=True, help="One cycle; fails when the cycle fails.")
@click.option("--background", is_flag=True, help="Go on in the background.")
@click.option("--skip-if-active", is_flag=True, help="Do nothing where the domain is watched already.")
@click.option("--plugins", is_flag=True, help="Run the plugins of the domain as well, as 'dbx plugin run' does.")
@aggregate_options
@reach_options
@pass_invocation
def command(
    invocation: Invocation,
    name: str | None,
    mode: Any,
    interval: int | None,
    run_once: bool,
    background: bool,
    skip_if_active: bool,
    plugins: bool,
    aggregate_type: str | None,
    aggregate_id: str | None,
    token: str | None,
    token_file: str | None,
) -> int:
    from dbx.cli.daemon import start_in_background
    from dbx.ops.watching import Plan, find_active, resolve

    check_aggregate(aggregate_type, aggregate_id)
    way = access(invocation, token, token_file)
    plan = Plan(None, mode, _interval(invocation, interval), aggregate_type, aggregate_id, run_once, background)
    with session(invocation) as opened:
        meant, remote = resolve(opened, name)
        domain, pid = meant.domain.name, find_active(meant) if skip_if_active else None
    invocation.domain = domain
    plan = plan._replace(remote=remote)
    if pid is not None:
        line = f"Domain '{domain}' is already watched by process {pid}; skipped."
        emit(invocation, {"domain": domain, "skipped": True, "pid": pid or None}, [line])
        return 0
    if not background:
        with plugins_beside(invocation, wanted=plugins, once=run_once):
            return _watch_here(invocation, plan, way)

    def watch(ready: Any, redirect: Any) -> int:
        with plugins_beside(invocation, wanted=plugins, once=run_once):
            return _watch_there(invocation, plan, way, ready, redirect)

    document = start_in_background(watch)
    where = f"as process {document['pid']} (log: {escape(document['log'])})"
    emit(invocation, document, [f"Watching domain '{domain}' in the background, {where}."])
    return 0


def _interval(invocation: Invocation, given: int | None) -> int:
    for name in ("DBX_WATCH_INTERVAL", "EVENTDBX_WATCH_INTERVAL"):
        text = invocation.environment.get(name)
        if given is None and text:
            try:
                given = params.DURATION.convert(text, None, None)
            except UsageError as error:
                raise UsageError(f"bad value for '{name}': {error.message}", hint=error.hint) from None
    seconds = INTERVAL_S if given is None else given
    if not 1 <= seconds <= MAX_INTERVAL_S:
        raise UsageError(f"the interval must be from 1 second to {MAX_INTERVAL_S // 86_400} days")
    return seconds


def _watch_here(invocation: Invocation, plan: Plan, way: Access) -> int:
    def tell(cycle: Cycle) -> None:
        if cycle.error is not None and plan.run_once:
            return  # it is what the command fails with
        emit(invocation, cycle_value(watcher.state.domain, watcher.state.remote, cycle), [cycle_line(cycle)])
        flush()

    with session(invocation) as opened:
        watcher = _watcher(opened, plan, way)
        failed = _run(watcher, tell)
    if failed is not None:
        raise failed
    return 0


def _watch_there(invocation: Invocation, plan: Plan, way: Access, ready: Any, redirect: Any) -> int:
    from dbx.ops.watching import append_to_log, log_path

    def tell(cycle: Cycle) -> None:
        redirect(append_to_log(opened))
        if is_news(cycle):
            emit(invocation, cycle_value(watcher.state.domain, watcher.state.remote, cycle), [cycle_line(cycle)])
            flush()

    def started() -> None:
        state = watcher.state
        mode = state.mode.lower()
        document = {"domain": state.domain, "remote": state.remote, "mode": mode, "interval_secs": state.interval_secs}
        ready({**document, "background": True, "pid": state.pid, "log": log_path(opened)})

    with session(invocation) as opened:
        redirect(append_to_log(opened))
        watcher = _watcher(opened, plan, way)
        _run(watcher, tell, started)
    return 0


def _watcher(opened: Any, plan: Plan, way: Access) -> Watcher:
    from dbx.ops.watching import Watcher

    return Watcher(opened, plan, way)


def _run(watcher: Watcher, tell: Any, started: Any = None) -> DbxError | None:
    """Watch until a signal says otherwise; the error of the one cycle of --run-once."""
    from dbx.cli.report import explain
    from dbx.ops.watching import Stop, Stopped

    stop = Stop()
    try:
        watcher.start()
        _obey_signals(stop)
        if started is not None:
            started()
        return watcher.run(stop, tell, explain)
    except Stopped:
        return None
    finally:
        watcher.close()


def _obey_signals(stop: Stop) -> None:
    import signal

    from dbx.ops.watching import Stopped

    def end(*_: object) -> None:
        # A cycle that runs may end; what takes too long is broken off, which leaves all or nothing of it.
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        stop.ask()

    def break_off(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGALRM, break_off)
    signal.signal(signal.SIGTERM, end)
