"""`dbx completion`: the scripts, and what dbx answers them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.conftest import DBX, Runner

SHELLS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_dbx(run: Runner, shell: str) -> None:
    script = run.ok("completion", shell).stdout
    assert f"_DBX_COMPLETE={shell}_complete" in script
    assert run.ok("completion", shell, "--json").json == {"shell": shell, "script": script}
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script.encode(), check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dbx vers", ["version"]),
        ("dbx --json comp", ["completion"]),
        ("dbx --qu", ["--quiet"]),
        ("dbx version --no", ["--no-color"]),
        ("dbx completion ", ["bash", "zsh", "fish"]),
        ("dbx completion z", ["zsh"]),
        ("dbx help form", ["format"]),
        ("dbx -d nowh", []),
        ("dbx 'unbalanced", []),
    ],
)
def test_bash_is_answered(run: Runner, words: str, expected: list[str]) -> None:
    count = len(words.split(" ")) - 1
    outcome = run.ok(env={"_DBX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)})
    assert outcome.lines == [f"plain,{word}" for word in expected] or (outcome.stdout.strip() == "" and not expected)
    assert outcome.stderr == ""


def test_zsh_gets_the_summaries(run: Runner) -> None:
    outcome = run.ok(env={"_DBX_COMPLETE": "zsh_complete", "COMP_WORDS": "dbx hel", "COMP_CWORD": "1"})
    assert outcome.lines == ["plain", "help", "Show the manual page of a command or a topic"]


@pytest.mark.parametrize("instruction", ["bash", "csh_complete", "bash_nonsense"])
def test_an_unknown_question_fails_without_a_word(run: Runner, instruction: str) -> None:
    outcome = run(env={"_DBX_COMPLETE": instruction, "COMP_WORDS": "dbx ", "COMP_CWORD": "1"})
    assert (outcome.status, outcome.stdout, outcome.stderr) == (1, "", "")


def test_a_question_without_words_fails_without_a_word(run: Runner) -> None:
    for env in ({}, {"COMP_WORDS": "dbx "}, {"COMP_WORDS": "dbx ", "COMP_CWORD": "x"}):
        outcome = run(env={"_DBX_COMPLETE": "bash_complete", **env})
        assert (outcome.status, outcome.stdout, outcome.stderr) == (1, "", "")


def test_bash_itself_completes(run: Runner) -> None:
    script = (
        f'PATH="{DBX.removesuffix("/dbx")}:$PATH"; eval "$(dbx completion bash)"\n'
        'COMP_WORDS=(dbx vers); COMP_CWORD=1; _dbx_completion dbx; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=run.environment(), check=True)
    assert done.stdout == "version\n"
