"""The data encryption key (DEK) of the environment: DBX_DEK, DBX_DEK_FILE, or what DBX_DEK_COMMAND prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import KeyFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.cli.context import Invocation

_TIMEOUT_S = 60
_MAX_BYTES = 4096


def find_dek(invocation: Invocation) -> Callable[[], bytes | None]:
    """What finds the DEK, once, when it is first needed; it gives None where the environment has none.

    It raises Invalid for what is no DEK, KeyFailure where the command fails.
    """
    known: list[bytes | None] = []

    def find() -> bytes | None:
        if not known:
            known.append(_find(invocation))
        return known[0]

    return find


def _find(invocation: Invocation) -> bytes | None:
    environment = invocation.environment
    if not any(environment.get(name) for name in ("DBX_DEK", "DBX_DEK_FILE", "DBX_DEK_COMMAND")):
        return None
    from dbx.cli import params
    from dbx.ops.sealing import parse_dek

    text = params.find_secret(invocation, None, None, "DBX_DEK")
    if text is None:
        text = _run(environment["DBX_DEK_COMMAND"])
    return parse_dek(text)


def _run(command: str) -> str:
    """The first line of what the user's own command prints. It is run without a shell, and not asked twice."""
    import shlex
    import subprocess

    try:
        arguments = shlex.split(command)
        done = subprocess.run(  # noqa: S603 - the user's own command, no shell
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_TIMEOUT_S, check=False
        )
    except (ValueError, OSError) as error:
        raise KeyFailure(f"DBX_DEK_COMMAND cannot be run: {_reason(error)}") from None
    except subprocess.TimeoutExpired:
        raise KeyFailure(f"DBX_DEK_COMMAND took longer than {_TIMEOUT_S} seconds") from None
    if done.returncode:
        raise KeyFailure(f"DBX_DEK_COMMAND ended with status {done.returncode}")
    return done.stdout[:_MAX_BYTES].decode("utf-8", "replace").split("\n", 1)[0]


def _reason(error: Exception) -> str:
    """Without the command, which may hold a secret."""
    return (error.strerror or "it failed") if isinstance(error, OSError) else "its quotes do not match"
