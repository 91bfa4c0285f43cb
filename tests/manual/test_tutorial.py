"""man/dbx-tutorial.7: a stranger in an empty directory types what it says, and sees what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.manual.examples import blocks, page
from tests.meta import roff
from tests.meta.source import CHECKOUT

PAGE = page("dbx-tutorial.7")
END = "\x1e"

# What is different every time, longest first.
VARIABLE = [
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9]{18,19}\b"), "EVENT-ID"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b|\b[0-9]{12,16}\b"), "HASH"),
    (re.compile(r"\b[0-9]+\.[0-9]+ s\b|\b[0-9]+ bytes\b|\bbyte [0-9]+\b"), "SIZE"),
    (re.compile(r"journal-[0-9]+-[0-9a-f]+"), "JOURNAL"),
]


class Step:
    """A command as it is typed, over one line or several, and what the page shows below it."""

    def __init__(self, first: str) -> None:
        self.lines = [first]
        self.shown: list[str] = []

    @property
    def command(self) -> str:
        return "\n".join(self.lines)


def steps() -> list[Step]:
    found: list[Step] = []
    for block in blocks(PAGE.lines):
        if not block[0].startswith("$ "):
            continue
        for line in block:
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            elif line.startswith("> ") and not found[-1].shown:
                found[-1].lines.append(line[2:])
            else:
                found[-1].shown.append(line)
    return found


def settled(lines: list[str], home: str) -> list[str]:
    """The lines without what is different every time."""
    text = "\n".join(lines).replace(home, "/home/jane")
    for pattern, name in VARIABLE:
        text = pattern.sub(name, text)
    return text.split("\n")


def run_all(commands: list[str], home: Path) -> list[tuple[list[str], int]]:
    """Type the commands into one shell: what each printed, and its exit status."""
    told = f"; status=$?; printf '{END}%s{END}' $status; (exit $status)\n"
    # A here-document must end its line; the marker stands on the next.
    script = "".join(f"{command}\n{told[2:]}" for command in commands)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        ["sh"],
        input=script,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env={"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "clone": str(CHECKOUT)},
        timeout=240,
        check=False,
    )
    parts = done.stdout.split(END)
    outputs, statuses = parts[0:-1:2], parts[1::2]
    assert len(statuses) == len(commands), done.stdout
    return [(text.splitlines(), int(status)) for text, status in zip(outputs, statuses, strict=True)]


def test_a_stranger_sees_what_the_page_shows(tmp_path: Path) -> None:
    typed = steps()
    results = run_all([step.command for step in typed], tmp_path)
    for number, (step, (printed, status)) in enumerate(zip(typed, results, strict=True)):
        assert settled(printed, str(tmp_path)) == settled(step.shown or [], str(tmp_path)), step.command
        following = typed[number + 1].command if number + 1 < len(typed) else ""
        if following == "echo $?":
            assert typed[number + 1].shown == [str(status)], step.command
            assert status != 0, f"the page asks for the status of '{step.command}', which succeeds"
        else:
            assert status == 0, step.command


def test_the_tutorial_leads_to_proof() -> None:
    commands = [step.command for step in steps()]
    for wanted in (
        "dbx init",
        "dbx aggregate create",
        "dbx aggregate apply --stage",
        "dbx commit",
        "dbx root",
        "dbx fsck",
    ):
        assert any(command.startswith(wanted) for command in commands), wanted
    assert any("fsck" in command for command in commands[commands.index("dbx root") :])


def test_installing_is_as_the_makefile_has_it() -> None:
    (block,) = [block for block in blocks(PAGE.lines) if not block[0].startswith("$ ")]
    target = block[0].removeprefix("make ")
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert block[1:] == ['export PATH="$PWD/.venv/bin:$PATH"', "clone=$PWD"]


def test_the_page_needs_no_more_than_it_says() -> None:
    programs = {step.lines[0].split()[0] for step in steps()}
    assert programs <= {"dbx", "mkdir", "cd", "cat", "cp", "sed", "echo", "test", "python3"}
    assert "git" in roff.unescape(PAGE.text)
