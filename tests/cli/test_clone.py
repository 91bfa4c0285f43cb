"""A clone of many commits, whose index roots another process compares while this one does the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import dbx
from tests.cli.conftest import DBX, Runner

COMMITS = 80
PER_COMMIT = 100


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("far")
    dbx.init(str(where)).close()
    with dbx.open(str(where)) as repository, repository.domain() as domain:
        for n in range(COMMITS):
            with domain.batch() as batch:
                for m in range(PER_COMMIT):
                    # Of two types, few events and many, with members that come and go.
                    payload = {"n": n, f"member {m % 7}": ["ü", m]} if m % 3 else {"text": f"{n} \\ {m}", "n": 1.5}
                    kind, name = ("order", f"o-{(n * m) % 1500}") if m % 2 else ("customer", f"c-{m}")
                    batch.append(kind, name, f"step_{m % 5}", payload, metadata={"@by": f"u-{n}"} if m % 4 else None)

    def run(*arguments: str) -> None:
        subprocess.run([DBX, *arguments], cwd=where, check=True, stdout=subprocess.DEVNULL)

    run("aggregate", "archive", "order", "o-7")
    run("aggregate", "archive", "order", "o-9")
    run("aggregate", "restore", "order", "o-9")
    run("aggregate", "apply", "order", "o-9", "step_1", "--payload", '{"n":"last"}')
    run("aggregate", "apply", "customer", "gone", "step_1", "--create", "--payload", '{"text":"secret"}')
    run("aggregate", "redact", "customer", "gone", "--version", "1", "--reason", "asked for", "--yes")
    return where


def states(run: Runner, where: Path) -> list[str]:
    return run.ok("aggregate", "list", "--jsonl", "--include-archived", cwd=where).lines


def test_it_becomes_what_the_remote_is(run: Runner, far: Path) -> None:
    run.ok("clone", str(far))
    run.ok("fsck")
    assert states(run, run.cwd) == states(run, far)
    run.ok("reindex")
    assert states(run, run.cwd) == states(run, far)


def test_many_commits_come_on_top_of_what_is_there(run: Runner, far: Path) -> None:
    run.ok("bundle", "create", str(run.home / "begin.bundle"), f"HEAD~{COMMITS - 9}", cwd=far)
    run.ok("init")
    run.ok("bundle", "apply", str(run.home / "begin.bundle"))
    run.ok("fsck")
    run.ok("remote", "add", "origin", str(far))
    run.ok("pull")
    run.ok("fsck")
    assert states(run, run.cwd) == states(run, far)


def test_it_is_checked_without_a_repository_too(run: Runner, far: Path) -> None:
    run.ok("bundle", "create", str(run.home / "all.bundle"), cwd=far)
    done = run.ok("bundle", "verify", str(run.home / "all.bundle"), "--json").json
    assert (done["commits"], done["events"]) == (COMMITS + 6, COMMITS * PER_COMMIT + 6)
