"""`dbx root`: 64 digits and nothing else."""

from __future__ import annotations

import re

import pytest

from dbx.crypto.indextree import EMPTY
from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def test_an_empty_domain_has_the_root_of_an_empty_tree(shop: Runner) -> None:
    assert shop.ok("root").stdout == EMPTY.hex() + "\n"
    assert shop.ok("root", "--json").json == {
        "domain": "default",
        "root": EMPTY.hex(),
        "commit": None,
        "seq": None,
        "events": 0,
        "aggregates": 0,
    }


def test_every_commit_has_one(shop: Runner) -> None:
    ids = fill(shop.cwd, 4)
    roots = [shop.ok("root", f"@{commit}").lines for commit in ids]
    assert len({root for (root,) in roots}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", root) for (root,) in roots)
    assert shop.ok("root").lines == shop.ok("root", "@HEAD").lines == shop.ok("root", "default").lines == roots[3]
    assert shop.ok("root", "@HEAD~2").lines == shop.ok("root", f"default@{ids[1][:8]}").lines == roots[1]
    assert (
        shop.ok("root", "HEAD").lines == shop.ok("root", ids[3][:8]).lines == shop.ok("root", "main").lines == roots[3]
    )
    assert shop.ok("root", "HEAD~3").lines == roots[0]
    assert shop.ok("root", "@2030-01-01").lines == shop.ok("root", "default@2030-01-01").lines == roots[3]
    assert shop.ok("root", "default@@2030-01-01").lines == roots[3]
    found = shop.ok("root", "@HEAD~2", "--json").json
    assert found == {
        "domain": "default",
        "root": roots[1][0],
        "commit": ids[1],
        "seq": 1,
        "events": 4,
        "aggregates": 3,
    }


def test_the_same_events_have_the_same_root(shop: Runner) -> None:
    fill(shop.cwd, 2)
    shop.ok("checkout", "copy", "--from", "default")
    assert shop.ok("root", "copy").stdout == shop.ok("root", "default").stdout
    assert shop.ok("-d", "default", "root").stdout == shop.ok("root").stdout


@pytest.mark.parametrize(
    ("argument", "status", "said"),
    [
        ("nothing", 3, "there is no domain 'nothing' either"),
        ("@HEAD~2", 3, "before the first commit"),
        ("@HEAD~x", 5, "is not a ref"),
        ("HEAD~2", 3, "before the first commit"),
        ("@2020-01-01", 3, "no commit that is so old"),
        ("default@HEAD~x", 5, "at character 6"),
        ("Default@HEAD", 5, "domain name"),
        ("@", 5, "names no commit"),
        ("@0000000000", 3, "no commit"),
        ("@abc", 3, "names no commit"),
        ("@a b", 5, "is not a ref"),
    ],
)
def test_what_names_nothing(shop: Runner, argument: str, status: int, said: str) -> None:
    fill(shop.cwd, 2)
    outcome = shop("root", argument)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
