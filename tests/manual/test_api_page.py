"""man/dbx-api.7: its example runs and prints what the page says, and the page names all that is promised."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import dbx
from tests.manual.examples import blocks, page
from tests.meta import roff

PAGE = page("dbx-api.7")
SECTIONS = roff.sections(PAGE)


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    program, output = blocks(SECTIONS["EXAMPLE"])
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == output


def test_the_synopsis_runs(tmp_path: Path) -> None:
    (program,) = blocks(SECTIONS["SYNOPSIS"])
    dbx.init(tmp_path).close()
    subprocess.run([sys.executable, "-c", "\n".join(program)], cwd=tmp_path, check=True)
    with dbx.open(tmp_path) as repository:
        assert repository.domain().get("order", "o-17").state == {"total": 49.5}


@pytest.mark.parametrize(
    ("section", "kind"), [("REPOSITORY", dbx.Repository), ("DOMAIN", dbx.Domain), ("BATCH", dbx.Batch)]
)
def test_every_member_has_its_paragraph(section: str, kind: type) -> None:
    tags = roff.tags(SECTIONS[section])
    named = {name for tag in tags for name in re.findall(r"(?:^|, )(\w+)(?=\(|,|$)", tag.split("(")[0])}
    members = {name for name in vars(kind) if not name.startswith("_")}
    # What __init__ sets, and properties that only say what the class is.
    documented = named | ({"events", "commit"} if section == "BATCH" else set())
    assert members - documented == set()
    for tag in tags:
        name, paren, parameters = tag.partition("(")
        if paren:
            written = {p.split("=")[0].strip() for p in parameters.rstrip(")").split(",")} - {"", "*"}
            real = set(inspect.signature(getattr(kind, name)).parameters) - {"self"}
            assert written == real, f"{section} {name}"


def test_every_function_value_and_error_is_named() -> None:
    text = PAGE.text
    for name in set(dbx.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", text), f"the page does not name '{name}'"
    for kind in (dbx.Event, dbx.Aggregate, dbx.Commit, dbx.Actor):
        paragraph = "\n".join(roff.visible(line) for line in SECTIONS["VALUES"])
        after = paragraph.partition(f"\n{kind.__name__}\n")[2] or paragraph
        for field in getattr(kind, "_fields", None) or [one.name for one in fields(kind)]:
            assert re.search(rf"\b{field}\b", after), f"{kind.__name__}.{field}"
