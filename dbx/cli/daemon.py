"""Go on in the background: a process of its own, away from the terminal, whose start the command waits for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from dbx import errors
from dbx.errors import DbxError, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BYTES = 1 << 20


def start_in_background(
    run: Callable[[Callable[[dict[str, Any]], None], Callable[[int], None]], int],
) -> dict[str, Any]:
    """Run something in a daemon; what it says once it is ready. Raises what it failed with before.

    `run` gets `ready`, which it calls with a JSON object, and `redirect`, which makes a descriptor its stdout and
    stderr; it returns the daemon's exit status. No thread may have been started before.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        _become_daemon(run, target)
    os.close(target)
    with os.fdopen(source, "rb") as file:
        data = file.read(_MAX_BYTES)
    os.waitpid(child, 0)
    return _understand(data)


def redirect_output(fd: int) -> None:
    """Let stdout and stderr go to a descriptor, which is closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    if fd > 2:
        os.close(fd)


def _become_daemon(
    run: Callable[[Callable[[dict[str, Any]], None], Callable[[int], None]], int], target: int
) -> NoReturn:
    status = 70
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        # Nothing of the caller's may be held open, as the lock of a script that waits for it.
        os.closerange(3, target)
        os.closerange(target + 1, os.sysconf("SC_OPEN_MAX"))
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        os.close(nothing)
        os.umask(0o077)
        status = _run(run, target)
    finally:
        # Not through the caller's own end: what it has buffered and registered is its business.
        os._exit(status)


def _run(run: Callable[[Callable[[dict[str, Any]], None], Callable[[int], None]], int], target: int) -> int:
    from dbx.cli.report import conclude, explain

    is_open = True

    def send(value: dict[str, Any]) -> None:
        nonlocal is_open
        import json

        if is_open:
            is_open = False
            with os.fdopen(target, "wb") as file:
                file.write(json.dumps(value, default=str).encode())

    try:
        return run(lambda value: send({"ready": value}), redirect_output)
    except BaseException as error:
        if is_open:
            told = explain(error)
            send({"error": [told.kind, told.message, told.hint, told.details]})
            return told.status
        return conclude(error, [], as_json=False)  # into the log
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _understand(data: bytes) -> dict[str, Any]:
    import json

    try:
        value = json.loads(data)
    except ValueError:
        raise Failure("the process in the background ended before it was ready", hint="look at its log") from None
    if "ready" in value:
        return dict(value["ready"])
    kind, message, hint, details = value["error"]
    raise _class_of(kind)(message, hint=hint, details=details)


def _class_of(kind: str) -> type[DbxError]:
    from dbx.cli.report import InternalError

    known: list[type[DbxError]] = [found for found in vars(errors).values() if _is_error(found)]
    return next((found for found in known if found.kind == kind and found is not DbxError), InternalError)


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, DbxError)
