"""No command is missing from the overview, and no page leads to a page that is not there."""

from __future__ import annotations

import re

import pytest

from dbx.cli import frame
from tests.meta import roff
from tests.meta.roff import Page

PAGES = {f"{page.name}.{page.section}": page for page in roff.read_pages()}
REFERENCE = re.compile(r"\b(dbx(?:-[a-z]+)*) ?\(([157])\)")


def test_the_overview_names_every_command_and_only_those() -> None:
    overview = PAGES["dbx.1"]
    listed = {
        tag.split()[0]
        for title, lines in roff.sections(overview).items()
        if "COMMANDS" in title
        for tag in roff.tags(lines)
    }
    assert listed == set(frame.root().names())


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda p: f"{p.name}.{p.section}")
def test_a_page_refers_to_pages_that_exist(page: Page) -> None:
    missing = {f"{name}.{section}" for name, section in REFERENCE.findall(page.text)} - PAGES.keys()
    assert not missing, f"{page.path} refers to pages that do not exist: {sorted(missing)}"
