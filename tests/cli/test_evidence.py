"""`dbx evidence export`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 3)
    return run


def test_a_package_that_verifies_without_dbx(shop: Runner) -> None:
    vkey = shop.ok("key", "generate").lines[0]
    for number, arguments in enumerate(
        ((), ("--aggregate", "order"), ("--aggregate", "order/all"), ("--range", "HEAD~1.."), ("--no-bodies",))
    ):
        found = shop.ok("evidence", "export", f"e{number}", *arguments, "--json").json
        assert found["events"] > 0
        done = subprocess.run(
            [sys.executable, "-I", "-S", "verify.py", "--key", vkey],
            cwd=shop.cwd / f"e{number}",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verified")
    shop.ok("evidence", "export", "e.zip")
    shop.ok("checkpoint", "--sign", "--out", "cp")
    fill(shop.cwd, 1)
    shop.ok("evidence", "export", "old", "--checkpoint", "cp")


def test_refusals(shop: Runner) -> None:
    shop.ok("key", "generate")
    (shop.cwd / "taken").mkdir()
    for arguments, status in (
        (("taken",), 4),
        (("no/where",), 1),
        (("e", "--aggregate", "Order"), 5),
        (("e", "--aggregate", "order/none"), 3),
        (("e", "--aggregate", "user"), 3),
        (("e", "--range", "HEAD"), 5),
        (("e", "--range", "HEAD..HEAD"), 3),
        (("e", "--range", "..none"), 3),
        (("e", "--aggregate", "order", "--range", "..HEAD"), 2),
        ((), 2),
    ):
        done = shop("evidence", "export", *arguments)
        assert done.status == status, (arguments, done)
    assert sorted(path.name for path in shop.cwd.iterdir()) == [".dbx", "taken"]
