"""`dbx serve` once there are tokens: who is let in, what is checked, what is logged; and TLS."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dbx.repo.replica.histories import Wanted, give
from dbx.repo.repository import Repository
from tests.cli.conftest import Outcome, Runner


class Served:
    """A repository that is served, and a clone of it."""

    def __init__(self, run: Runner, log: Path) -> None:
        self.run = run
        self.far = run.cwd / "far"
        self.near = run.cwd / "near"
        self.log = log
        self.processes: list[subprocess.Popen[bytes]] = []
        self.near.mkdir()
        run.ok("init", "far")
        for kind, name in (("order", "o-1"), ("person", "p-1")):
            run.ok("aggregate", "apply", kind, name, "made", "--create", cwd=self.far)

    def issue(self, *options: str) -> str:
        words = ("token", "generate", "-g", "ops", "-u", "jane", "--json")
        return str(self.run.ok(*words, *options, cwd=self.far).json["token"])

    def serve(self, *options: str) -> str:
        with self.log.open("ab") as log:
            words = ("serve", "--port", "0", "--json", *options)
            process = self.run.start(*words, cwd=self.far, stdout=subprocess.PIPE, stderr=log)
        self.processes.append(process)
        assert process.stdout is not None
        return str(json.loads(process.stdout.readline())["url"])

    def clone(self, url: str, token: str | None) -> Outcome:
        env = {} if token is None else {"DBX_TOKEN": token}
        return self.run("clone", f"{url}/default", cwd=self.near, env=env)

    def push(self, token: str, *options: str) -> Outcome:
        return self.run("push", *options, cwd=self.near, env={"DBX_TOKEN": token})

    def apply(self, kind: str, name: str, *options: str) -> None:
        self.run.ok("aggregate", "apply", kind, name, "changed", *options, cwd=self.near)

    def events(self) -> int:
        return len(self.run.ok("events", "--json", cwd=self.far).json)


@pytest.fixture
def served(run: Runner, tmp_path: Path) -> Iterator[Served]:
    made = Served(run, tmp_path / "serve.log")
    yield made
    for process in made.processes:
        process.terminate()
        assert process.wait(30) == 0


ALL = ("--action", "*.*")


def ask(url: str, path: str, token: str | None) -> tuple[int, dict[str, Any], dict[str, str]]:
    """(status, answer, headers)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), {key.lower(): value for key, value in answer.headers.items()}
    finally:
        connection.close()


def test_without_tokens_nobody_is_asked_and_with_the_first_everybody_is(served: Served) -> None:
    url = served.serve()
    assert ask(url, "/default/dbx/v1/describe", None)[0] == 200
    token = served.issue("--action", "domain.pull")
    status, answer, headers = ask(url, "/default/dbx/v1/describe", None)
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer")
    assert answer["error"]["type"] == "denied"
    assert ask(url, "/default/dbx/v1/describe", token)[0] == 200
    assert ask(url, f"/default/dbx/v1/describe?token={token}", None)[0] == 401
    assert served.clone(url, None).status == 6
    assert not (served.near / ".dbx").exists()
    assert served.clone(url, token).status == 0
    served.run.ok("token", "revoke", token, cwd=served.far)
    assert ask(url, "/default/dbx/v1/describe", token)[0] == 401


def test_a_pull_needs_its_action_and_everything(served: Served) -> None:
    url = served.serve()
    for options in (("--action", "aggregate.read"), ("--action", "domain.pull", "--domain", "sales")):
        assert ask(url, "/default/dbx/v1/describe", served.issue(*options))[0] == 403
    part = served.issue("--action", "domain.pull", "--resource", "aggregate:order:*")
    assert served.clone(url, part).status == 6
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", "/default/dbx/v1/roots", headers={"Authorization": f"Bearer {part}"})
    roots = connection.getresponse().read()
    assert b"o-1" in roots
    assert b"p-1" not in roots
    connection.close()


def test_a_push_is_checked_event_by_event(served: Served) -> None:
    url = served.serve()
    assert served.clone(url, served.issue(*ALL)).status == 0
    served.apply("order", "o-1")
    served.apply("person", "p-1")
    orders = ("--action", "domain.*", "--action", "aggregate.append", "--resource", "aggregate:order:*")
    narrow = served.issue(*orders)
    assert served.push(served.issue("--action", "domain.*", "--action", "aggregate.read")).status == 6
    done = served.push(narrow)
    assert done.status == 6
    assert narrow[:30] not in done.stderr
    assert served.events() == 2
    assert served.push(served.issue("--action", "domain.*", "--action", "aggregate.append")).status == 0
    assert served.events() == 4
    served.apply("order", "o-9", "--create")
    assert served.push(narrow).status == 6
    wide = served.issue(*orders, "--action", "aggregate.create")
    assert served.push(wide).status == 0
    assert served.events() == 5


def test_a_push_of_aggregates_is_committed_in_the_name_of_the_token(served: Served) -> None:
    url = served.serve()
    assert served.clone(url, served.issue(*ALL)).status == 0
    served.apply("order", "o-1")
    served.apply("person", "p-1")
    token = served.issue("--action", "domain.push", "--action", "aggregate.append", "--resource", "aggregate:order:*")
    assert served.push(token, "--aggregate", "person", "--id", "p-1").status == 6
    assert served.push(token, "--aggregate", "order", "--id", "o-1").status == 0
    actor = served.run.ok("show", "HEAD", "--json", cwd=served.far).json["actor"]
    assert (actor["group"], actor["user"]) == ("ops", "jane")
    assert actor["token"] in {one["jti"] for one in served.run.ok("token", "list", "--json", cwd=served.far).json}


def test_what_is_pushed_counts_for_the_limit(served: Served) -> None:
    url = served.serve()
    assert served.clone(url, served.issue(*ALL)).status == 0
    token = served.issue("--action", "domain.*", "--action", "aggregate.append", "--write-limit", "3")
    for _ in range(2):
        served.apply("order", "o-1")
    assert served.push(token).status == 0
    for _ in range(2):
        served.apply("order", "o-1")
    assert served.push(token).status == 6
    assert served.events() == 4
    served.run.ok("undo", "--yes", cwd=served.near)
    assert served.push(token).status == 0
    served.apply("order", "o-1")
    assert served.push(token).status == 6
    assert served.events() == 5


@pytest.mark.parametrize("verb", ["bundle", "events"])
@pytest.mark.parametrize("issued", [True, False])
def test_who_may_no_longer_when_all_of_it_is_there_brought_nothing(served: Served, verb: str, issued: bool) -> None:
    url = served.serve()
    served.clone(url, None)
    served.apply("order", "o-1", "--field", f"text={'x' * 100_000}")
    served.run.ok("bundle", "create", "b", "HEAD~1..", cwd=served.near)
    data = (served.near / "b").read_bytes()
    if verb == "events":
        data = b"".join(pieces(served.near, Wanted("order", "o-1", 1)))
    token = served.issue(*ALL) if issued else "-"
    parts = urlsplit(url)
    before = served.run.ok("root", "--json", cwd=served.far).json
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30) as connection:
        head = f"POST /default/dbx/v1/{verb} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
        head += f"Authorization: Bearer {token}\r\n" if issued else ""
        connection.sendall(f"{head}\r\n".encode() + data[:-600])
        deadline = time.monotonic() + 20
        while not list((served.far / ".dbx/domains/default").glob("quarantine/*/*")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if issued:
            served.run.ok("token", "revoke", token, cwd=served.far)
        else:
            served.issue(*ALL)  # from now on, every request needs one
        connection.sendall(data[-600:])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 401
        assert json.loads(answer.read())["error"]["details"]["reason"] == ("revoked" if issued else "missing")
    assert served.run.ok("root", "--json", cwd=served.far).json == before
    assert not list((served.far / ".dbx/domains/default").glob("quarantine/*"))
    if issued:
        jti = served.run.ok("token", "list", "--json", cwd=served.far).json[0]["jti"]
        assert f"token {jti} of 127.0.0.1 refused: revoked" in served.log.read_text()
    served.run.ok("fsck", cwd=served.far)
    assert served.push(served.issue(*ALL)).status == 0


def pieces(where: Path, wanted: Wanted) -> list[bytes]:
    """The events of an aggregate of a repository's domain behind a version, as they travel."""
    repository = Repository(str(where / ".dbx"), clock=lambda: time.time_ns() // 1000)
    try:
        return list(give(repository.domain(), [wanted]))
    finally:
        repository.close()


def test_a_token_may_be_given_on_either_side_of_the_command(served: Served, tmp_path: Path) -> None:
    url = served.serve()
    token = served.issue(*ALL)
    file = tmp_path / "token"
    file.write_text(token)
    assert served.run("clone", f"{url}/default", "--token", token, cwd=served.near).status == 0
    served.run.ok("remote", "set-url", "origin", f"{url}/default", "--token", "stale", cwd=served.near)
    for command in (["pull"], ["fetch"], ["push"], ["push", "schema"], ["pull", "schema"], ["watch", "--run-once"]):
        served.apply("order", "o-1")
        assert served.run(*command, cwd=served.near).status == 6
        for given in (["--token", token], ["--token-file", str(file)], [f"--token={token}"]):
            served.run.ok(*command, *given, cwd=served.near)
            served.run.ok(*given, *command, cwd=served.near)
        served.run.ok(*command, "--token", "-", cwd=served.near, stdin=token)
    assert served.run("push", "--token", token, "--token-file", str(file), cwd=served.near).status == 2


def test_who_comes_with_many_wrong_tokens_has_to_wait_and_no_log_holds_one(served: Served) -> None:
    url = served.serve()
    good = served.issue("--action", "domain.pull")
    bad = good[:-8] + "AAAAAAAA"
    statuses = [ask(url, "/default/dbx/v1/describe", bad)[0] for _ in range(30)]
    assert statuses == [401] * 10 + [429] * 20
    assert ask(url, "/default/dbx/v1/describe", good)[0] == 200
    served.run.ok("token", "revoke", good, cwd=served.far)
    log = served.log.read_text()
    assert log.count("refused:") == 10
    assert bad[20:60] not in log
    assert good[20:60] not in log


def test_garbage_for_a_token(served: Served) -> None:
    url = served.serve()
    served.issue(*ALL)
    for garbage in ("x", "a.b.c", "." * 5000, "Bearer", "%00", "é".encode().decode("latin-1")):
        assert ask(url, "/default/dbx/v1/describe", garbage)[0] in (400, 401, 429)
    assert ask(url, "/default/dbx/v1/describe", None)[0] == 401


def test_with_tokens_it_may_leave_the_machine(served: Served) -> None:
    assert served.run("serve", "--host", "0.0.0.0", "--port", "0", cwd=served.far).status == 6
    served.issue(*ALL)
    assert served.serve("--host", "0.0.0.0").startswith("http://0.0.0.0:")


def test_tls(served: Served, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    url = served.serve("--cert", str(cert), "--key", str(key))
    assert url.startswith("https://")
    token = served.issue(*ALL)
    assert served.clone(url, token).status == 8
    trusted = {"DBX_TOKEN": token, "SSL_CERT_FILE": str(cert)}
    plain = url.replace("https:", "http:")
    assert served.clone(plain, token).status == 8
    assert served.run("clone", f"{url}/default", cwd=served.near, env=trusted).status == 0
    assert served.run("serve", "--cert", str(cert), cwd=served.far).status == 2
    assert served.run("serve", "--cert", str(key), "--key", str(cert), cwd=served.far).status == 1
    assert served.run("serve", "--cert", "nowhere", "--key", str(key), cwd=served.far).status == 1


def test_a_server_over_files_takes_the_token_that_it_was_started_with(served: Served) -> None:
    token = served.issue("--action", "domain.pull")
    request = b"GET /default/dbx/v1/describe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for env, status in (({}, b"401"), ({"DBX_TOKEN": token}, b"200")):
        done = served.run("serve", "--stdio", cwd=served.far, stdin=request, env=env)
        assert done.stdout.split()[1].encode() == status


def certificate(where: Path) -> tuple[Path, Path]:
    """A certificate of this machine that nobody vouches for, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(secret, hashes.SHA256())
    )
    cert, key = where / "cert.pem", where / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, key


def test_metrics_tell_of_the_domains_that_a_token_may_exchange(served: Served) -> None:
    served.run.ok("checkout", "-c", "sales", cwd=served.far)
    served.run.ok("aggregate", "apply", "order", "o-1", "made", "--create", cwd=served.far)
    host = urlsplit(served.serve()).netloc

    def metrics(token: str | None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(host, timeout=20)
        try:
            connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    every = metrics(served.issue(*ALL))[1]
    assert 'head_seq{domain="default"} 1\n' in every
    assert 'head_seq{domain="sales"} 0\n' in every
    part = metrics(served.issue("--action", "domain.pull", "--domain", "sales"))[1]
    assert "sales" in part
    assert "default" not in part
    assert metrics(None)[0] == 401
