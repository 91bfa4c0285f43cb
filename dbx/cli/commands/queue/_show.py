"""Show what waits for plugins, and what failed."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import job_line, job_value, say_idle, state_value
from dbx.cli.render import emit
from dbx.cli.session import session

_TITLES = {"pending": "Pending jobs:", "processing": "Processing jobs:", "dead": "Dead jobs:"}


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.queue import show_queue

    with session(invocation) as opened:
        found = show_queue(opened)
        domain_id = opened.domain.id
    active = [state for state in found.plugins if state.plugin.gets_events]
    totals = {
        "pending": sum(state.behind for state in active),
        "processing": sum(state.processing for state in active),
        "done": sum(state.done for state in found.plugins),
        "dead": sum(state.dead for state in found.plugins),
    }
    jobs = {status: [job for job in found.jobs if job.status == status] for status in _TITLES}
    document = {
        **totals,
        "runner": found.runner,
        "plugins": [state_value(state, found.runner) for state in found.plugins],
        "jobs": {status: [job_value(job, domain_id) for job in listed] for status, listed in jobs.items()},
    }
    lines = [" ".join(f"{key}={count}" for key, count in totals.items())]
    for status, title in _TITLES.items():
        if jobs[status]:
            lines += [title, *map(job_line, jobs[status])]
    emit(invocation, document, lines)
    say_idle(invocation, totals["pending"], found.runner)
