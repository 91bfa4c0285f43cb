"""dbx fsck from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import DBX, Runner

DOMAIN = ".dbx/domains/default"


def fill(run: Runner) -> None:
    run.ok("init")
    for n in range(3):
        run.ok("aggregate", "apply", "order", "o-17", "placed", "--field", f"total={n}", "--create")


def journal(run: Runner, domain: str = "default") -> Path:
    (found,) = (run.cwd / ".dbx/domains" / domain).glob("journal-*")
    return found


def tamper(file: Path, old: bytes, new: bytes) -> None:
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))


def test_a_clean_domain(run: Runner) -> None:
    fill(run)
    assert run.ok("fsck").lines == ["3 events, 1 aggregate, 3 commits, 0 segments checked in domain 'default': clean"]
    assert run.ok("fsck", "--quick").lines == [
        "3 events, 3 commits, 0 segments checked quickly in domain 'default': clean"
    ]
    document = run.ok("fsck", "--json").json
    assert document["clean"] is True
    assert document["findings"] == []
    assert (document["domain"], document["events"], document["aggregates"]) == ("default", 3, 1)
    assert document["index"] == run.ok("root", "--json").json["root"]


def test_a_changed_event_is_named(run: Runner) -> None:
    fill(run)
    tamper(journal(run), b'"total":"1"', b'"total":"7"')
    done = run("fsck")
    assert done.status == 7
    assert "version 2 of 'order/o-17'" in done.stdout
    assert done.lines[-1].endswith("in domain 'default': 2 errors")
    document = run("fsck", "--json")
    assert document.status == 7
    (named,) = [f for f in document.json["findings"] if f["code"] == "event.body"]
    assert named["what"]["aggregate_id"] == "o-17"
    assert named["what"]["version"] == 2
    assert named["file"] == journal(run).name
    assert isinstance(named["offset"], int)


def test_one_document_a_line(run: Runner) -> None:
    fill(run)
    tamper(journal(run), b'"total":"1"', b'"total":"7"')
    done = run("fsck", "--jsonl")
    assert done.status == 7
    *findings, last = map(json.loads, done.lines)
    assert {f["type"] for f in findings} == {"finding"}
    assert {f["domain"] for f in findings} == {"default"}
    assert (last["type"], last["clean"], last["errors"]) == ("domain", False, len(findings))


def test_all_domains(run: Runner) -> None:
    fill(run)
    run.ok("checkout", "-c", "other")
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--field", "total=5", "--create")
    assert [line.rpartition(" ")[0] for line in run.ok("fsck", "--all").lines] == [
        "3 events, 1 aggregate, 3 commits, 0 segments checked in domain 'default':",
        "1 event, 1 aggregate, 1 commit, 0 segments checked in domain 'other':",
    ]
    tamper(journal(run, "other"), b'"total":"5"', b'"total":"7"')
    assert run("fsck", "default").status == 0
    assert run("fsck", "other").status == 7
    assert run("fsck").status == 7
    document = run("fsck", "--all", "--json")
    assert document.status == 7
    assert document.json["clean"] is False
    assert [d["clean"] for d in document.json["domains"]] == [True, False]


def test_only_the_index_is_damaged(run: Runner) -> None:
    fill(run)
    (run.cwd / DOMAIN / "index.db").write_bytes(b"no database at all")
    done = run("fsck")
    assert done.status == 7
    assert "dbx reindex" in done.stderr
    run.ok("reindex")
    run.ok("fsck")


def test_a_missing_domain_file_is_damage(run: Runner) -> None:
    fill(run)
    (run.cwd / DOMAIN / "domain.yaml").unlink()
    for arguments in ((), ("default",), ("--all",)):
        done = run("fsck", *arguments)
        assert done.status == 7, done
        assert "domain.yaml" in done.stdout + done.stderr


def test_damage_to_the_repository_itself(run: Runner) -> None:
    fill(run)
    (run.cwd / ".dbx/config.yaml").write_text("format: [\n")
    for argv in (("fsck", "--all"), ("fsck",)):
        done = run(*argv)
        assert done.status == 7
        assert "config.yaml" in done.stderr
    (run.cwd / ".dbx/config.yaml").write_text("format: 1\n")
    (run.cwd / ".dbx/HEAD").write_text("ref: elsewhere\n")
    done = run("fsck")
    assert done.status == 7
    assert "HEAD" in done.stderr


def test_wrong_usage(run: Runner) -> None:
    assert run("fsck").status == 3
    run.ok("init")
    assert run("fsck", "nowhere").status == 3
    assert run("fsck", "../default").status == 5
    assert run("fsck", "--all", "default").status == 2
    assert run("fsck", "--jobs", "0").status == 2


def test_an_interrupted_creation_is_no_damage(run: Runner) -> None:
    fill(run)
    (run.cwd / ".dbx/domains/half/segments").mkdir(parents=True)
    run.ok("fsck", "--all")
    assert run("fsck", "half").status == 3


AROUND = [
    ".dbx/audit.head",
    ".dbx/audit.jsonl",
    ".dbx/keys/known.json",
    ".dbx/plugins.yaml",
    ".dbx/tokens.json",
    ".dbx/uses.json",
    "keys/signing-*.pem",
    "signed/*.json",
    "queue.db",
    "schemas/order.yaml",
]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A workspace with one of every file that lies around a history."""
    base = tmp_path_factory.mktemp("office")
    run = Runner(base / "work", base)
    run.cwd.mkdir()
    run.ok("init")
    run.ok("schema", "create", "order", "--events", "placed")
    token = run.ok("token", "generate", "-g", "g", "-u", "u", "--action", "*.*", "--write-limit", "5", "--json").json
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--token", token["token"])
    run.ok("checkpoint", "--sign")
    run.ok("plugin", "config", "log", "--name", "log", "--file", str(base / "log"))
    run.ok("plugin", "run", "--once")
    run.ok("fsck")
    return run


@pytest.mark.parametrize("how", ["cut", "zeroed"])
@pytest.mark.parametrize("file", AROUND)
def test_files_around_a_history_are_named(office: Runner, tmp_path: Path, file: str, how: str) -> None:
    shutil.copytree(office.cwd, tmp_path / "copy")
    run = Runner(tmp_path / "copy", office.home)
    (path,) = (run.cwd / ".dbx").rglob(file.removeprefix(".dbx/"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if how == "cut" else bytes(len(data)))
    outcome = run("fsck", "--json")
    assert outcome.status == 7
    (finding,) = [finding for finding in outcome.json["findings"] if finding["severity"] == "error"]
    assert finding["file"].endswith(path.name)
    assert outcome.json["errors"] == 1
    run.ok("aggregate", "get", "order", "o-1", "--json")


@pytest.mark.parametrize("file", [".dbx/config.yaml", ".dbx/audit.head", ".dbx/audit.jsonl"])
def test_files_that_are_always_there_are_missed(office: Runner, tmp_path: Path, file: str) -> None:
    shutil.copytree(office.cwd, tmp_path / "copy")
    run = Runner(tmp_path / "copy", office.home)
    (run.cwd / file).unlink()
    outcome = run("fsck", "--json")
    assert outcome.status == 7
    (finding,) = outcome.json["findings"]
    assert finding["file"] == file or file.rpartition("/")[2] in finding["message"]


def test_a_private_key_that_is_not_here_is_no_damage(office: Runner, tmp_path: Path) -> None:
    shutil.copytree(office.cwd, tmp_path / "copy")
    run = Runner(tmp_path / "copy", office.home)
    (path,) = (run.cwd / ".dbx/keys").glob("signing-*.pem")
    path.chmod(0o644)
    assert run.ok("fsck", "--json").json["warnings"] == 1
    path.unlink()
    (finding,) = run.ok("fsck", "--json").json["findings"]
    assert (finding["severity"], finding["code"], finding["file"]) == ("warning", "key", f".dbx/keys/{path.name}")


def test_a_repository_that_cannot_be_written_is_checked(run: Runner) -> None:
    fill(run)
    run.ok("plugin", "config", "log", "--name", "log", "--file", str(run.home / "log"))
    run.ok("plugin", "run", "--once")
    nobody = 65534
    is_root = os.geteuid() == 0
    if is_root and shutil.which("setpriv") is None:
        pytest.skip("root can write everywhere, and setpriv is not here to be somebody else")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        shutil.copytree(run.cwd, copy)
        Path(name).chmod(0o755)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o500 if path.is_dir() else 0o400)
            if is_root:
                os.chown(path, nobody, nobody)
        somebody = ["setpriv", "--reuid", str(nobody), "--clear-groups"] if is_root else []
        done = subprocess.run(
            [*somebody, DBX, "-C", str(copy), "fsck", "--json"],
            env=run.environment(),
            capture_output=True,
            check=False,
        )
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o700)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["findings"] == []
