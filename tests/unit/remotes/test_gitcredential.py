"""git's credential helpers are asked for tokens, without a terminal and without a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.model.address import parse_address
from dbx.remotes.gitcredential import ask_git


@pytest.fixture
def git(tmp_path: Path) -> str:
    """A git that writes down how it was called, and answers as a helper would."""
    path = tmp_path / "git"
    path.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/asked\n'
        "printf 'protocol=https\\nhost=h\\nusername=jane\\npassword=canary-1\\n'\n"
    )
    path.chmod(0o755)
    return str(path)


def test_the_password_is_the_token(git: str, tmp_path: Path) -> None:
    assert ask_git(parse_address("https://h:8080/orders"), git=git) == "canary-1"
    assert (tmp_path / "asked").read_text() == "protocol=https\nhost=h:8080\npath=orders\n\n"
    assert (tmp_path / "arguments").read_text().endswith("credential fill\n")


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "printf 'password=\\n'",
        "printf 'nothing\\n'",
        "printf 'password=\\303\\244\\n'",
        "printf 'password=a\\033b\\n'",
    ],
)
def test_a_helper_that_does_not_know(tmp_path: Path, script: str) -> None:
    path = tmp_path / "git"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    assert ask_git(parse_address("http://h/x"), git=str(path)) is None


def test_no_git_and_no_url(tmp_path: Path) -> None:
    assert ask_git(parse_address("http://h/x"), git=str(tmp_path / "none")) is None
    assert ask_git(parse_address("/a/path"), git="false") is None
