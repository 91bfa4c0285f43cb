"""man/dbx-internals.7 speaks of the code as it is: its tables, its sizes, its limits."""

from __future__ import annotations

import re

from dbx.crypto.indextree import BUCKET
from dbx.model import matcher, validation
from dbx.repo import working, writer
from dbx.store import fs, indexlayout, journal, queuelayout
from tests.manual.examples import page
from tests.meta import roff

PAGE = page("dbx-internals.7")
SECTIONS = roff.sections(PAGE)


def test_every_table_has_its_paragraph() -> None:
    for section, layout in (("INDEX.DB", indexlayout.LAYOUT), ("QUEUE.DB", queuelayout.RELAXED)):
        tables = set(re.findall(r"^CREATE TABLE (\w+)", "\n".join(layout.schema), re.MULTILINE))
        assert {name for tag in roff.tags(SECTIONS[section]) for name in tag.split(", ")} == tables


def test_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    assert f"up to {writer.GROUP} transactions" in text
    assert f"once {writer.FLUSH_COMMITS} commits have come together" in text
    assert f"grown to {journal.SEAL_BYTES >> 20} MiB" in text
    assert f"A transaction of {writer.LARGE_BYTES >> 20} MiB or more" in text
    assert f"longer by {journal._GROWTH >> 20} MiB of zeros" in text
    assert f"another page of {fs.PAGE} bytes" in text
    assert f"more than {working._RECORDS:,}" in text
    assert {8: "eight"}[journal._OFTEN] + " appends" in text
    assert f"Up to {validation._MAX_SHAPES} shapes" in text
    assert f"texts of up to {matcher.SHORT_CHARS} characters" in text
    assert f"keeps at most {matcher._MAX_STEPS} steps" in text
    assert {16: "sixteen"}[BUCKET] + " aggregates" in text
