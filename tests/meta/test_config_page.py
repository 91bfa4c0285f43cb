"""The manual page of `dbx config` and the table of settings agree."""

from __future__ import annotations

from dbx.repo.config import SETTINGS, WORKSPACE
from tests.meta import roff


def test_every_setting_is_described_with_its_range_and_place() -> None:
    (page,) = [page for page in roff.read_pages() if page.name == "dbx-config"]
    lines = roff.sections(page)["SETTINGS"]
    assert roff.tags(lines) == sorted(SETTINGS)
    text = "\n".join(roff.visible(line) if roff.macro(line) != "TP" else "\f" for line in lines)
    paragraphs = text.split("\f")[1:]
    for key, paragraph in zip(sorted(SETTINGS), paragraphs, strict=True):
        setting = SETTINGS[key]
        assert paragraph.split()[0] == key
        assert paragraph.split()[-1] == ("Workspace." if setting.scope == WORKSPACE else "Domain."), key
        if setting.kind == "integer":
            assert f"{setting.low} to {setting.high}" in paragraph, key
            assert setting.default is None or f"default {setting.default}" in paragraph, key
