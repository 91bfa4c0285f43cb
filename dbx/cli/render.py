"""Results as text or as JSON, on stdout; notes on stderr. Decides nothing but the looks.

Text lines are made by pairs(), fields() and table(), which escape what they are given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from dbx.cli.report import OutputClosed, output_failure, say
from dbx.cli.text import escape, escape_lines

if TYPE_CHECKING:
    from dbx.cli.context import Invocation

T = TypeVar("T")

_COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}


def emit(invocation: Invocation, document: object, lines: Iterable[str] = ()) -> None:
    """Print a command's result: `document` with --json, else `lines`."""
    if invocation.json:
        write(json_text(document, pretty=invocation.stdout_tty) + "\n")
    else:
        for line in lines:
            write(line + "\n")


def emit_stream(
    invocation: Invocation,
    documents: Iterable[T],
    line: Callable[[T], str],
    *,
    jsonl: bool = False,
    live: bool = False,
    empty: str | None = None,
) -> int:
    """Print many results one at a time: JSON Lines, one JSON array, or a line of text each. Returns how many.

    `live`: each is written out at once (for --follow). `empty`: what text output says when there are none.
    """
    flush_each = live or invocation.stdout_tty
    count = 0
    for document in documents:
        if jsonl:
            text = json_text(document)
        elif invocation.json:
            text = (",\n" if count else "[") + json_text(document)
        else:
            text = line(document)
        # In an array the comma comes with the next document.
        write(text if invocation.json and not jsonl else text + "\n")
        count += 1
        if flush_each:
            flush()
    if invocation.json and not jsonl:
        write("]\n" if count else "[]\n")
    elif not count and not jsonl and empty is not None:
        write(empty + "\n")
    return count


def check_reader() -> None:
    """Raise OutputClosed when whoever read our output has gone: a command that waits would never write to notice."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        gone = any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0))
    except (OSError, ValueError):
        return  # no descriptor, nothing to ask
    if gone:
        raise OutputClosed


def json_text(value: object, *, pretty: bool = False) -> str:
    """One JSON text with the keys in the order given: on one line, or indented by two spaces."""
    import json

    if pretty:
        return escape_lines(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))
    return escape(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def pairs(values: Mapping[str, object] | Iterable[tuple[str, object]]) -> str:
    """`key=value key=value` on one line, as EventDBX lists things; text with blanks in it is quoted as JSON quotes."""
    items = values.items() if isinstance(values, Mapping) else values
    return " ".join(f"{key}={_quoted(value)}" for key, value in items)


def fields(values: Mapping[str, object] | Iterable[tuple[str, object]]) -> list[str]:
    """One `key=value` a line, values bare: nothing can follow a value, so it needs no quotes."""
    items = values.items() if isinstance(values, Mapping) else values
    return [f"{key}={cell(value)}" for key, value in items]


def cell(value: object) -> str:
    """A value as text on one line: `-` for None, true, false, compact JSON for objects and arrays, else str()."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json_text(value)
    return escape(str(value))


def table(
    rows: Iterable[Sequence[object]], headings: Sequence[str] = (), *, right: frozenset[int] = frozenset()
) -> list[str]:
    """Aligned columns, two blanks apart; the columns whose indexes are in `right` are aligned to the right."""
    cells = [list(headings)] if headings else []
    cells += [[cell(value) for value in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells)))]
    return [
        "  ".join(text.rjust(widths[i]) if i in right else text.ljust(widths[i]) for i, text in enumerate(row)).rstrip()
        for row in cells
    ]


def paint(invocation: Invocation, text: str, colour: str) -> str:
    """`text` in a colour (or bold, dim) when stdout is a terminal that wants colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if invocation.colour else text


def note(invocation: Invocation, text: str) -> None:
    """A remark beside the result, on stderr, unless --quiet."""
    if not invocation.quiet:
        say(f"dbx: {escape(text)}\n")


def hint(invocation: Invocation, text: str) -> None:
    """What to do next, on stderr, unless --quiet."""
    note(invocation, f"hint: {text}")


def warn(text: str) -> None:
    """Something that is not as it should be, on stderr, also with --quiet."""
    say(f"dbx: warning: {escape(text)}\n")


def page(invocation: Invocation, text: str) -> None:
    """Print long text: through the pager when stdout is a terminal that it does not fit on."""
    if invocation.stdout_tty and invocation.stdin_tty and _is_long(text) and _show_in_pager(invocation, text):
        return
    write(text)


def write_bytes(data: bytes) -> None:
    """Write to stdout what is no text. Raises as `write`; what was written as text is flushed first."""
    try:
        sys.stdout.buffer.write(data)
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise output_failure(error) from error


def write(text: str) -> None:
    """Write to stdout. Raises OutputClosed when nobody reads it any more, Failure when it cannot be written."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise output_failure(error) from error


def flush() -> None:
    """Hand on what has been written so far; errors as for write."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise output_failure(error) from error


def _quoted(value: object) -> str:
    if isinstance(value, str) and (not value or " " in value or "\u00a0" in value or value.startswith('"')):
        return json_text(value)
    return cell(value)


def _is_long(text: str) -> bool:
    import os

    try:
        rows = os.get_terminal_size(1).lines
    except OSError:
        return False
    return text.count("\n") >= rows


def _show_in_pager(invocation: Invocation, text: str) -> bool:
    import shlex
    import subprocess

    try:
        command = shlex.split(invocation.pager)
    except ValueError:
        return False
    if not command or command == ["cat"]:
        return False
    flush()
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - the user's own PAGER, no shell
    except OSError:
        # No such pager: the caller prints the text itself.
        return False
    # communicate() takes a pager that was left early for granted: a broken pipe is no error to it.
    while True:
        try:
            pager.communicate(text.encode())
            return True
        except KeyboardInterrupt:
            # Ctrl-C belongs to the pager; leaving before it does would spoil the terminal.
            text = ""
