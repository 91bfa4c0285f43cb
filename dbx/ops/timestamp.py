"""Time stamps of an authority (RFC 3161) on checkpoints, asked for and verified by openssl(1), where that is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from dbx.errors import Corrupt, Failure, RemoteFailure
from dbx.remotes.tsa import ask_authority, check_url
from dbx.repo.outfile import write_outside

_TIME = re.compile(r"^Time stamp: (.+)$", re.MULTILINE)
_STATUS = re.compile(r"^Status: (.+?)\.?$", re.MULTILINE)
_TIMEOUT_S = 60


class Stamped(NamedTuple):
    """A time stamp: the file that holds it, and the time that the authority says, as openssl prints it."""

    path: str
    time: str


def timestamp(data: bytes, url: str, out: str, ca_file: str | None = None) -> Stamped:
    """Ask an authority to stamp `data`, and keep its answer in the file `out`.

    With `ca_file`, certificates that are trusted, the answer is verified before it is kept. Raises Failure without
    openssl, RemoteFailure for an authority that refuses or cannot be reached, Corrupt for a stamp that does not hold.
    """
    check_url(url)
    with tempfile.TemporaryDirectory(prefix="dbx-") as folder:
        source = _write(folder, "data", data)
        query = _openssl("ts", "-query", "-data", source, "-sha256", "-cert")
        answer = ask_authority(url, query)
        stored = _write(folder, "answer", answer)
        text = _openssl("ts", "-reply", "-in", stored, "-text", blame=RemoteFailure).decode("utf-8", "replace")
        status = _STATUS.search(text)
        if status is None or not status[1].startswith("Granted"):
            raise RemoteFailure(f"the time-stamping authority '{url}' refused: {status[1] if status else 'no answer'}")
        if ca_file is not None:
            _verify(source, stored, ca_file)
    write_outside(out, answer)
    return Stamped(out, _time(text))


def verify_timestamp(data: bytes, answer: bytes, ca_file: str) -> str:
    """The time at which an authority that `ca_file` vouches for stamped `data`. Offline. Raises Corrupt."""
    with tempfile.TemporaryDirectory(prefix="dbx-") as folder:
        source, stored = _write(folder, "data", data), _write(folder, "answer", answer)
        _verify(source, stored, ca_file)
        return _time(_openssl("ts", "-reply", "-in", stored, "-text", blame=Corrupt).decode("utf-8", "replace"))


def _verify(source: str, stored: str, ca_file: str) -> None:
    _openssl("ts", "-verify", "-data", source, "-in", stored, "-CAfile", os.path.abspath(ca_file), blame=Corrupt)


def _time(text: str) -> str:
    found = _TIME.search(text)
    if found is None:
        raise Corrupt("the time stamp says no time")
    return found[1].strip()


def _write(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def _openssl(*arguments: str, blame: type[Failure | RemoteFailure | Corrupt] = Failure) -> bytes:
    program = shutil.which("openssl")
    if program is None:
        raise Failure(
            "time stamps need openssl, and it is not installed", hint="Debian, Ubuntu: apt-get install openssl"
        )
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments of our own, no shell
            [program, *arguments], capture_output=True, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Failure("openssl did not come to an end") from None
    if done.returncode:
        reasons = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if ":error:" in line]
        why = reasons[-1].rsplit(":", 3)[-3] if reasons and reasons[-1].count(":") > 3 else "openssl refuses it"
        details = {"reason": "changed"} if blame is Corrupt else None
        raise blame(f"the time stamp does not hold: {why}", details=details)
    return done.stdout
