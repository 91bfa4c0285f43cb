"""`dbx checkpoint timestamp` against an authority of our own on loopback, which openssl plays."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import fill

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl(1) is not installed")

CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Test authority
[stamping]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[tsa]
default_tsa = tsa1
[tsa1]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
"""


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority, and a key that may stamp."""
    folder = tmp_path_factory.mktemp("tsa")
    config = folder / "openssl.cnf"
    config.write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    common = ("-config", str(config), "-nodes", "-newkey", "rsa:2048", "-days", "30")
    openssl("req", "-x509", *common, "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem", "-extensions", "ca")
    openssl(
        "req", *common[:5], "-new", "-keyout", f"{folder}/tsa.key", "-out", f"{folder}/tsa.csr", "-subj", "/CN=Stamp"
    )
    openssl(
        "x509", "-req", "-in", f"{folder}/tsa.csr", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
        "-CAcreateserial", "-days", "30", "-extfile", str(config), "-extensions", "stamping",
        "-out", f"{folder}/tsa.pem",
    )  # fmt: skip
    return folder


@contextmanager
def server(folder: Path, answer: bytes | int | None = None) -> Iterator[str]:
    """Stamps what it is asked to; or gives this answer, or this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            (folder / "query").write_bytes(query)
            data = answer if isinstance(answer, bytes) else b""
            if answer is None:
                config = str(folder / "openssl.cnf")
                data = openssl("ts", "-reply", "-queryfile", str(folder / "query"), "-config", config)
            self.send_response(answer if isinstance(answer, int) else 200)
            if answer == 302:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}/tsa"
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 2)
    run.ok("key", "generate")
    run.ok("checkpoint", "--sign", "--out", "cp")
    return run


def test_a_stamp_is_kept_and_verified_offline(shop: Runner, authority: Path) -> None:
    ca = str(authority / "ca.pem")
    with server(authority) as url:
        found = shop.ok("checkpoint", "timestamp", "cp", "--tsa", url, "--ca", ca, "--json").json
    assert found["path"] == "cp.tsr"
    shown = shop.ok("checkpoint", "verify", "cp", "--timestamp", "cp.tsr", "--ca", ca, "--json").json
    assert shown["timestamp"] == found["time"]
    assert "stamped at" in shop.ok("checkpoint", "verify", "cp", "--timestamp", "cp.tsr", "--ca", ca).stdout
    other = shop("checkpoint", "verify", "cp", "--timestamp", "cp.tsr", "--ca", str(authority / "tsa.pem"))
    assert other.status == 7
    fill(shop.cwd, 1)
    shop.ok("checkpoint", "--sign", "--out", "newer")
    refused = shop("checkpoint", "verify", "newer", "--timestamp", "cp.tsr", "--ca", ca, "--json")
    assert (refused.status, refused.error["details"]["reason"]) == (7, "changed")
    assert shop("checkpoint", "verify", "cp", "--timestamp", "cp.tsr").status == 2


@pytest.mark.parametrize("answer", [b"", b"rubbish", 500, 302, b"x" * 300_000])
def test_authorities_that_do_not_stamp(shop: Runner, authority: Path, answer: bytes | int) -> None:
    with server(authority, answer) as url:
        done = shop("checkpoint", "timestamp", "cp", "--tsa", url)
    assert done.status == 8
    assert not (shop.cwd / "cp.tsr").exists()


def test_addresses(shop: Runner) -> None:
    for url, status in (
        ("ftp://127.0.0.1/", 5),
        ("file:///etc/passwd", 5),
        ("http://user:secret@127.0.0.1/", 5),
        ("http://", 5),
        ("http://127.0.0.1:1/", 8),
    ):
        done = shop("checkpoint", "timestamp", "cp", "--tsa", url)
        assert done.status == status, url
        assert "secret" not in done.stderr
    assert shop("checkpoint", "timestamp", "cp").status == 2


def test_without_openssl(shop: Runner) -> None:
    done = shop("checkpoint", "timestamp", "cp", "--tsa", "http://127.0.0.1:1/", env={"PATH": str(shop.cwd)})
    assert done.status == 1
    assert "openssl" in done.stderr
