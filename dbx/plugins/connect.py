"""Connections to hosts that a user named: looked up once, checked, and made to the very address that was checked.

A name may lead to a private address, or to another one each time it is asked for; so no name is looked up twice for one
connection, and the address is checked before anything is sent to it.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from dbx.model.pluginparse import check_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.plugins.base import Surroundings

_MAX_ADDRESSES = 8


class Refused(Exception):  # noqa: N818 - it is told as an attempt that failed
    """A connection that may not be made."""


class Unreachable(OSError):  # noqa: N818 - it is told as an attempt that failed
    """Nobody answers there: nothing was sent."""


class Deadline:
    """The end of an attempt. Every wait is bounded by what is left of it."""

    __slots__ = ("_end", "_monotonic")

    def __init__(self, timeout_s: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def connect(host: str, port: int, *, allow_private: bool, around: Surroundings, deadline: Deadline) -> socket.socket:
    """A connected socket. Raises Refused for an address that is not allowed, Unreachable where nobody answers."""
    try:
        addresses = _look_up(around.lookup, host, port, deadline)
    except OSError as error:
        raise Unreachable(error.errno, reason(error)) from None
    refusals = [check_address(address, allow_private=allow_private) for address in addresses]
    allowed = [address for address, why in zip(addresses, refusals, strict=True) if why is None]
    if not allowed:
        raise Refused(next((why for why in refusals if why), f"'{host}' has no address"))
    failure: OSError = OSError("no address")
    for address in allowed[:_MAX_ADDRESSES]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(deadline.left_s())
            made.connect((address, port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise Unreachable(failure.errno, reason(failure))


def _look_up(lookup: Callable[[str, int], Sequence[str]], host: str, port: int, deadline: Deadline) -> Sequence[str]:
    """The addresses of a host. The resolver knows no deadline, so it is asked beside this thread."""
    found: list[Sequence[str]] = []
    failures: list[Exception] = []

    def ask() -> None:
        try:
            found.append(lookup(host, port))
        except Exception as error:  # told below, in the thread that asked
            failures.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(deadline.left_s())
    if failures:
        raise OSError(f"cannot look up '{host}'") from failures[0]
    if not found:
        raise TimeoutError(f"looking up '{host}' timed out")
    return found[0]


def reason(error: OSError) -> str:
    """Why a connection failed, in few words."""
    if isinstance(error, TimeoutError):
        return str(error) or "timed out"
    if isinstance(error, Unreachable) and error.strerror:
        return error.strerror  # made here, from what this function said
    if certificate := getattr(error, "verify_message", None):
        return f"its certificate proves nothing: {certificate}"
    if getattr(error, "library", None) == "SSL":
        return f"no TLS: {str(getattr(error, 'reason', '')).replace('_', ' ').lower()}"
    return (error.strerror or str(error) or type(error).__name__).lower()
