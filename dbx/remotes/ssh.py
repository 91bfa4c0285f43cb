"""A remote that ssh reaches: `dbx serve --stdio` runs there, and the protocol of dbx-protocol(5) goes through the pipe.

The user's own ssh does the rest: hosts, keys, agents and jumps are what `ssh_config` says. Everything that comes from
the address stands behind `--`, and the path is quoted for the shell that sshd starts there.
"""

from __future__ import annotations

import http.client
import re
import shlex
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dbx.errors import Invalid, RemoteFailure
from dbx.model.names import check_domain_name
from dbx.remotes.http import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.address import Address
    from dbx.remotes.base import Means

PROGRAM = "ssh"
REAP_S = 2.0
LAST_WORDS_S = 5.0
_MAX_SAID = 64 * 1024
_MAX_SHOWN = 200
_find_domain = re.compile(r"(?s)(.*?)/+\.dbx/domains/([^/]+)/*").fullmatch


def connect(address: Address, domain: str | None, means: Means) -> SshTransport:
    """A client for a repository behind ssh. Nothing is started yet. Raises Invalid for a path that is none."""
    return SshTransport(address, domain, means)


def command_line(address: Address, timeout_s: float) -> list[str]:
    """The arguments for ssh: options of our own, `--`, the host, and one command for the shell there."""
    parts = urlsplit(address.location)
    host = parts.hostname or ""
    target = host if parts.username is None else f"{parts.username}@{host}"
    if not host or target.startswith("-"):
        raise Invalid(f"'{address.text}' names no host")
    port = [] if parts.port is None else ["-p", str(parts.port)]
    patience = ["-o", f"ConnectTimeout={max(1, round(timeout_s))}"]
    return [
        PROGRAM,
        "-T",
        "-x",
        *patience,
        *port,
        "--",
        target,
        f"dbx -C {shlex.quote(_path(address)[0])} serve --stdio",
    ]


def _path(address: Address) -> tuple[str, str | None]:
    """The directory there, and the domain if it is a domain's; `/~/x` begins at the home directory. Raises Invalid."""
    path = unquote(urlsplit(address.location).path)
    if not path.isprintable() or path.strip("/") == "":
        raise Invalid(f"'{address.text}' names no directory", hint="as in ssh://host/srv/flights")
    if path == "/~" or path.startswith("/~/"):
        path = f".{path[2:]}"
    found = _find_domain(path)
    return (path, None) if found is None else (found[1] or "/", check_domain_name(found[2]))


class SshTransport(HttpTransport):
    """The client of a server, whose socket is one end of a pair; ssh holds the other."""

    def __init__(self, address: Address, domain: str | None, means: Means) -> None:
        super().__init__(address, domain or _path(address)[1], means)
        self._base = ""
        self._arguments = command_line(address, means.timeout_s)
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def close(self) -> None:
        """Close the pair, and see ssh end."""
        super().close()
        if self._process is not None:
            for end in (self._process.terminate, self._process.kill, None):
                try:
                    self._process.wait(REAP_S)
                    break
                except subprocess.TimeoutExpired:
                    if end is not None:
                        end()
            self._process = None
        if self._said is not None:
            self._said.close()
            self._said = None

    def _dial(self) -> http.client.HTTPConnection:
        self.close()
        near, far = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        try:
            # What ssh asks, it asks on the terminal; what it says, we say if it comes to nothing.
            self._process = subprocess.Popen(  # noqa: S603 - an argument list, checked above
                self._arguments, stdin=far.fileno(), stdout=far.fileno(), stderr=self._said
            )
        except FileNotFoundError:
            near.close()
            raise RemoteFailure(
                f"cannot reach '{self._url}': there is no '{PROGRAM}' on this machine", hint="install OpenSSH's client"
            ) from None
        finally:
            far.close()
        near.settimeout(self._means.timeout_s)
        connection = http.client.HTTPConnection("localhost", timeout=self._means.timeout_s)
        connection.sock = near
        return connection

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            with super()._blaming():
                yield
        except RemoteFailure as error:
            said = self._last_words()
            if said is None:
                raise
            raise RemoteFailure(
                f"{error.message}; ssh says: {said}",
                hint=f"see whether '{PROGRAM}' reaches the host, and 'dbx' is in the PATH there",
                details=error.details,
            ) from None

    def _last_words(self) -> str | None:
        """The last line that ssh, or dbx there, wrote; None while it goes on, and where it ended well."""
        if self._process is None or self._said is None:
            return None
        try:
            if self._process.wait(LAST_WORDS_S) == 0:
                return None
        except subprocess.TimeoutExpired:
            return None
        self._said.seek(0, 2)
        self._said.seek(max(0, self._said.tell() - _MAX_SAID))
        lines = self._said.read(_MAX_SAID).decode("utf-8", "replace").split("\n")
        shown = ["".join(c for c in line if c.isprintable()).strip() for line in lines]
        told = [line for line in shown if line and not line.startswith("dbx: hint:")]
        return told[-1][:_MAX_SHOWN] if told else None
