"""How a commit looks: on one line, and on several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.render import json_text, paint
from dbx.cli.text import escape, escape_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.cli.context import Invocation
    from dbx.formats.commit import Commit
    from dbx.model.event import Event
    from dbx.ops.log import Change

LISTED = 20
SHORT = 12
"""Digits of a commit id that tell it apart, for people."""


def commit_summary(invocation: Invocation, commit: Commit, commit_id: str) -> str:
    """`1f2e3d4c5b6a  import of Monday (8577 events)`."""
    subject = escape(commit.message.split("\n", 1)[0]) if commit.message else "(no message)"
    events = "1 event" if commit.count == 1 else f"{commit.count} events"
    return f"{paint(invocation, commit_id[:SHORT], 'yellow')} {subject} ({events})"


def commit_lines(invocation: Invocation, commit: Commit, commit_id: str) -> list[str]:
    """A commit as git's users know it: the id, who, when, how much, and the message, indented."""
    lines = [paint(invocation, f"commit {commit_id}", "yellow")]
    by = commit.actor
    if by is not None:
        token = "" if by.token is None else f" (token {escape(by.token)})"
        lines.append(f"Actor:  {escape(by.group)}:{escape(by.user)}{token}")
    lines += [
        f"Time:   {commit.time}",
        f"Seq:    {commit.seq}",
        f"Events: {commit.count} from position {commit.position}",
        f"Root:   {commit.index}",
    ]
    if commit.message:
        lines += ["", *(f"    {line}".rstrip() for line in escape_lines(commit.message).rstrip("\n").split("\n"))]
    return lines


def change_lines(changes: Sequence[Change]) -> list[str]:
    """Which aggregates a commit brought forward, as git lists files; the first of them, when there are many."""
    shown = changes[:LISTED]
    names = [f"{change.aggregate_type}/{change.aggregate_id}" for change in shown]
    width = max(map(len, names), default=0)
    digits = max((len(str(change.events)) for change in shown), default=0)
    lines = [
        f" {name:<{width}} | {change.events:>{digits}} -> version {change.version}"
        for name, change in zip(names, shown, strict=True)
    ]
    if len(changes) > len(shown):
        lines.append(f" … and {len(changes) - len(shown)} more")
    events = sum(change.events for change in changes)
    over = "1 aggregate" if len(changes) == 1 else f"{len(changes)} aggregates"
    return ["", *lines, f" {over}, {'1 event' if events == 1 else f'{events} events'}"]


def patch_lines(invocation: Invocation, event: Event) -> list[str]:
    """An event in a commit: which, and what it sets."""
    name = f"{event.aggregate_type}/{event.aggregate_id}"
    lines = ["", paint(invocation, f"@@ {name} version {event.version} @@", "cyan") + f" {event.event_type}"]
    lines[1] += f" {event.event_id}"
    if event.payload is None:
        return [*lines, "  (the body was erased)"]
    lines += [paint(invocation, f"+ {escape(key)}={json_text(value)}", "green") for key, value in event.payload.items()]
    for key, value in (event.metadata or {}).items():
        lines.append(paint(invocation, f"+ {escape(key)}={json_text(value)}", "green"))
    if event.note:
        lines.append(f"  note: {escape(event.note)}")
    return lines
