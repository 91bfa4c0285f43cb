"""A real sshd on loopback, with keys and a configuration of its own, and an `ssh` that knows it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
MISSING = "no sshd here, so ssh is NOT TESTED: apt-get install openssh-server, as .ci/run does"
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {authorized}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
SetEnv PATH={path}
"""
_CLIENT = """\
#!/bin/sh
exec {ssh} -F none -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={known} \
-o GlobalKnownHostsFile=none "$@"
"""


class Sshd(NamedTuple):
    """Where it listens (`user@127.0.0.1:port`), and the directory of an `ssh` that may log in there."""

    place: str
    bin: Path


@contextmanager
def sshd_running(folder: Path) -> Iterator[Sshd]:
    """Start it; stopped at the end."""
    assert SSHD is not None
    folder.mkdir()
    for name in ("host", "user"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(made, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    host_key = (folder / "host.pub").read_text().split(" ", 2)
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    path = f"{os.path.dirname(sys.executable)}:/usr/bin:/bin"
    config = folder / "config"
    config.write_text(_CONFIG.format(port=port, host_key=folder / "host", authorized=folder / "authorized", path=path))
    client = folder / "bin" / "ssh"
    client.parent.mkdir()
    client.write_text(_CLIENT.format(ssh=shutil.which("ssh"), key=folder / "user", known=folder / "known"))
    client.chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
    try:
        _await(port, server, folder / "log")
        yield Sshd(f"{getpass.getuser()}@127.0.0.1:{port}", client.parent)
    finally:
        server.terminate()
        server.wait(20)


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())
