"""How a command that fails says so: one sentence and a hint on stderr, or one line of JSON, and the exit status."""

from __future__ import annotations

import errno
import os
import sys
from typing import ClassVar

from dbx.cli.text import escape
from dbx.errors import DbxError, Failure

INTERRUPTED = 130


class OutputClosed(Exception):  # noqa: N818 - not an error: whoever reads our output has read enough
    """The reader of stdout has gone. The work is done, so the status is 0."""


class InternalError(DbxError):
    """A bug in dbx. Its message names the place, never the values at hand: they may be payload or keys."""

    status: ClassVar[int] = 70
    kind: ClassVar[str] = "internal"


class Interrupted(DbxError):  # noqa: N818 - Ctrl-C is no error of anybody
    """Ctrl-C: status 130."""

    status: ClassVar[int] = INTERRUPTED
    kind: ClassVar[str] = "interrupted"


def conclude(error: BaseException, arguments: list[str], *, as_json: bool | None = None) -> int:
    """Tell `error` on stderr and return its exit status. Without `as_json` the arguments say whether JSON is wanted."""
    if isinstance(error, OutputClosed):
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    if debugging():
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    told = explain(error)
    tell(told, as_json=wants_json(arguments) if as_json is None else as_json)
    return told.status


def explain(error: BaseException) -> DbxError:
    """The sentence for any exception that reached the top."""
    if isinstance(error, DbxError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, OSError):
        return explain_os_error(error)
    if isinstance(error, MemoryError):
        return InternalError("internal error: out of memory")
    if isinstance(error, RecursionError):
        return InternalError("internal error: the input is nested too deeply")
    return InternalError(
        f"internal error: {type(error).__name__}{_place(error)}",
        hint="this is a bug in dbx: run it again with DBX_DEBUG=1 and report what it prints",
    )


_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EPIPE}
_HINTS = {
    errno.ENOSPC: "make room on the disk and run the command again",
    errno.EDQUOT: "make room within your quota and run the command again",
    errno.EROFS: "mount the file system writable, or work on a copy",
    errno.EACCES: "look at the owner and the permissions of the file and of its directory",
    errno.EPERM: "look at the owner and the permissions of the file and of its directory",
    errno.EMFILE: "close other programs, or raise the limit with 'ulimit -n'",
    errno.ENFILE: "close other programs: the whole system is out of open files",
    errno.EIO: "the disk may be failing: save a copy, then run 'dbx fsck'",
}


def explain_os_error(error: OSError) -> Failure:
    """What the operating system refused, as one sentence that names the file."""
    number = error.errno
    if number is None:
        return Failure(f"the system refused: {_lower(str(error)) or type(error).__name__}")
    what = "write" if number in _WRITING else "read or write" if number == errno.EIO else "open"
    subject, target = _path(error.filename), _path(error.filename2)
    reason = _lower(os.strerror(number))
    if subject and target:
        message = f"cannot put '{subject}' at '{target}': {reason}"
    elif subject:
        message = f"cannot {what} '{subject}': {reason}"
    else:
        message = f"the system refused: {reason}"
    details = {"errno": errno.errorcode.get(number, str(number))}
    if subject:
        details["path"] = subject
    return Failure(message, hint=_HINTS.get(number), details=details)


def output_failure(error: OSError) -> Failure:
    """Writing to stdout failed."""
    reason = _lower(os.strerror(error.errno)) if error.errno is not None else _lower(str(error))
    return Failure(
        f"cannot write the output: {reason}",
        hint="what the command did before it printed is done; only its output is lost",
    )


def tell(error: DbxError, *, as_json: bool) -> None:
    """Print `error` on stderr, as cli.md "Conventions" has it."""
    if as_json:
        import json

        document = {
            "type": error.kind,
            "status": error.status,
            "message": error.message,
            "hint": error.hint,
            "details": error.details,
        }
        # ASCII, so that nothing in the message can steer a terminal; default=str, because this line must not fail.
        text = json.dumps({"error": document}, separators=(",", ":"), default=str) + "\n"
    else:
        text = f"dbx: error: {escape(error.message)}\n"
        lines = error.details.get("lines", ())
        if len(lines) > 1:
            text += "".join(f"  line {line['line']}: {escape(line['message'])}\n" for line in lines)
        # What was typed, and a caret below the place that cannot be understood.
        text += "".join(f"  {escape(line)}\n" for line in error.details.get("excerpt", ()))
        if error.hint:
            text += f"dbx: hint: {escape(error.hint)}\n"
    say(text)


def say(text: str) -> None:
    """Write to stderr. When even that fails nobody is left to tell, and the exit status has to do."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        return


def wants_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON, for errors met before it could be parsed."""
    for argument in arguments:
        if argument == "--":
            return False
        if argument in ("--json", "--jsonl"):
            return True
    return False


def debugging() -> bool:
    """DBX_DEBUG=1: errors show where they were raised."""
    return os.environ.get("DBX_DEBUG", "") not in ("", "0")


def _lower(text: str) -> str:
    text = text.rstrip(".")
    # "I/O error" and other abbreviations keep their capitals.
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _path(name: object) -> str | None:
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return name if isinstance(name, str) else None


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"
