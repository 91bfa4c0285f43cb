"""How a commit looks: on one line, and on several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.render import paint
from dbx.cli.text import escape, escape_lines

if TYPE_CHECKING:
    from dbx.cli.context import Invocation
    from dbx.formats.commit import Commit

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
