"""How fetch, pull and push tell what went over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.cli.remoteoptions import counted, point_value, short
from dbx.cli.text import escape

if TYPE_CHECKING:
    from dbx.ops.fetch import Fetched, PulledAggregates
    from dbx.ops.push import Pushed, PushedAggregates


def fetched_value(done: Fetched) -> dict[str, Any]:
    """What came, as JSON."""
    points = {name: point_value(getattr(done, name)) for name in ("before", "head", "remote_head")}
    return {**done._asdict(), **points}


def fetched_lines(done: Fetched, verb: str) -> list[str]:
    """What came, as text; `verb` is Fetched or Pulled."""
    where = f"remote '{done.remote}' ({escape(done.url)})"
    if done.up_to_date:
        return [f"Domain '{done.domain}' is already up to date with {where}."]
    lines = [f"{verb} {counted(done.commits, 'commit')}, {counted(done.events, 'event')} from {where}."]
    if done.schemas:
        lines.append(f"{counted(done.schemas, 'schema version')} {'would come' if done.dry_run else 'came'} with it.")
    if done.recommitted:
        were = "would be" if done.dry_run else "was" if done.recommitted == 1 else "were"
        lines.append(f"{counted(done.recommitted, 'commit')} of our own {were} made anew on top.")
    if done.head != done.before:
        lines.append(f"{done.domain}: {short(done.before)} -> {short(done.head)}")
    elif done.commits and not done.dry_run:
        lines.append(f"{done.remote}/main is now at {short(done.remote_head)}.")
    return lines


def pulled_aggregates_lines(done: PulledAggregates) -> list[str]:
    """What came of single aggregates."""
    where = f"remote '{done.remote}' ({escape(done.url)})"
    if not done.aggregates:
        lines = [f"The aggregates of domain '{done.domain}' are already up to date with {where}."]
    elif done.dry_run:
        what = f"{counted(done.events, 'event')} of {counted(done.aggregates, 'aggregate')}"
        lines = [f"Would pull {what} from {where}."]
    else:
        what = f"{counted(done.events, 'event')} of {counted(done.aggregates, 'aggregate')}"
        lines = [f"Pulled {what} from {where}, in commit {(done.commit or '')[:12]}."]
    if done.ahead:
        lines.append(f"{counted(done.ahead, 'aggregate')} of ours go further than the remote's.")
    return lines


def pushed_value(done: Pushed) -> dict[str, Any]:
    """What went over, as JSON."""
    return {**done._asdict(), "before": point_value(done.before), "head": point_value(done.head)}


def pushed_lines(done: Pushed) -> list[str]:
    """What went over, as text."""
    where = f"remote '{done.remote}' ({escape(done.url)})"
    if done.up_to_date:
        return [f"Remote '{done.remote}' ({escape(done.url)}) is already up to date with domain '{done.domain}'."]
    verb = "Would push" if done.dry_run else "Pushed"
    lines = [f"{verb} {counted(done.commits, 'commit')}, {counted(done.events, 'event')} to {where}."]
    if done.schemas:
        lines.append(f"{counted(done.schemas, 'schema version')} {'would go' if done.dry_run else 'went'} with it.")
    if done.commits:
        lines.append(f"{done.domain}: {short(done.before)} -> {short(done.head)}")
    return lines


def pushed_aggregates_lines(done: PushedAggregates) -> list[str]:
    """What went over of single aggregates."""
    where = f"remote '{done.remote}' ({escape(done.url)})"
    if not done.aggregates:
        lines = [f"The aggregates at {where} are already up to date."]
    else:
        what = f"{counted(done.events, 'event')} of {counted(done.aggregates, 'aggregate')}"
        lines = [f"{'Would push' if done.dry_run else 'Pushed'} {what} to {where}."]
    if done.behind:
        lines.append(f"{counted(done.behind, 'aggregate')} go further there than here.")
    return lines
