"""The report page, in a real browser: never green without a real check, each kind of tampering named, usable by all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.formats.note import format_vkey
from dbx.repo.evidence.package import AGGREGATE, RANGE, TYPE, Scope
from dbx.repo.evidence.report import fill_report
from dbx.repo.writer import Append, Appender
from tests.browser import CHROMIUM, DRIVER, Page, browser
from tests.history import item
from tests.unit.repo.evidence.test_package import TAMPERING, Shop

MISSING = "chromium and chromium-driver are not installed (Debian: apt-get install chromium chromium-driver)"
pytestmark = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=MISSING)
TEMPLATE = Path(__file__).parents[4] / "dbx" / "repo" / "evidence" / "handout" / "report.html"


def test_the_browser_is_there_where_it_must_be() -> None:
    """On the build server a skipped test would be one that nobody runs."""
    assert not os.environ.get("CI") or CHROMIUM


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.pack("e")
    return made


def load(page: Page, path: Path) -> str:
    """The verdict without a key."""
    page.open(path)
    page.wait("document.getElementById('verdict').textContent !== 'Checking…'")
    return page.text("#verdict")


def give(page: Page, key: str) -> str:
    before = page.text("#links")
    page.fill("#key", key)
    page.click("#check")
    page.wait("document.getElementById('links').innerText !== " + repr(before).replace("\\n", "\\n"))
    return page.text("#verdict")


def state(page: Page) -> str:
    return str(page.run("return document.getElementById('verdict').className"))


def test_good_evidence(page: Page, shop: Shop) -> None:
    path = shop.directory / "e" / "report.html"
    assert load(page, path).startswith("All hashes fit together. Nothing is verified yet")
    assert state(page) == "open"
    assert "holds" not in page.text("#events tbody").replace("hash holds", "")
    assert give(page, format_vkey(shop.key)).startswith("Verified: all 32 events")
    assert state(page) == "ok"
    assert page.text("#events tbody").count("holds") == 32
    assert page.errors() == []


def test_wrong_keys_are_never_green(page: Page, shop: Shop) -> None:
    path = shop.directory / "e" / "report.html"
    load(page, path)
    for key in (
        "x",
        "a+00000000+AAAA",
        format_vkey(shop.key)[:-2],
        format_vkey(shop.key._replace(public=bytes(32))),
        format_vkey(shop.key._replace(name="mallory")),
    ):
        page.run("document.getElementById('links').replaceChildren()")
        assert give(page, key).startswith("NOT verified")
        assert state(page) == "bad"
    page.run("document.getElementById('links').replaceChildren()")
    assert give(page, format_vkey(shop.key)).startswith("Verified")


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering(page: Page, shop: Shop, tmp_path: Path, how: str) -> None:
    bag = tmp_path / "bag"
    (bag / "data").mkdir(parents=True)
    source = shop.directory / "e" / "data"
    for file in source.iterdir():
        if file.is_file():
            (bag / "data" / file.name).write_bytes(file.read_bytes())
    TAMPERING[how](bag)
    payload = {f"data/{file.name}": file.read_bytes() for file in (bag / "data").iterdir()}
    if how == "not UTF-8":
        payload["data/commits.ndjson"] = payload["data/commits.ndjson"].decode("latin-1").encode()
    (bag / "report.html").write_text(fill_report(TEMPLATE.read_text(), payload))
    before = load(page, bag / "report.html")
    if how != "changed size":
        assert before.startswith("NOT verified"), before
    assert give(page, format_vkey(shop.key)).startswith("NOT verified")
    assert state(page) == "bad"


@pytest.mark.parametrize(
    "scope",
    [Scope(TYPE, "order"), Scope(AGGREGATE, "order", "all"), Scope(RANGE, first=2, last=4)],
    ids=lambda s: s.kind,
)
def test_parts_of_a_domain(page: Page, shop: Shop, scope: Scope) -> None:
    shop.pack(f"part-{scope.kind}", scope, bodies=False)
    load(page, shop.directory / f"part-{scope.kind}" / "report.html")
    assert give(page, format_vkey(shop.key)).startswith("Verified")
    assert "left out" in page.text("#events tbody")


def test_state_by_version(page: Page, shop: Shop) -> None:
    load(page, shop.directory / "e" / "report.html")
    page.run(
        "const box = document.getElementById('aggregate'); box.value = 'order/big';"
        "box.dispatchEvent(new Event('change'))"
    )
    assert "Version 20 of 20" in page.text("#about")
    assert page.text("#state tbody").split("\t") == ["secret (changed)", "canary-19", "canary-18"]
    page.run("const box = document.getElementById('version'); box.value = 1; box.dispatchEvent(new Event('input'))")
    assert page.text("#state tbody").split("\t")[:2] == ["secret (added)", "canary-0"]


def test_filtering_and_printing(page: Page, shop: Shop) -> None:
    load(page, shop.directory / "e" / "report.html")
    page.fill("#filter", "canary-1")
    assert "11 of 32 events" in page.text("#caption")
    assert page.pdf().startswith(b"%PDF")


def test_what_a_screen_reader_finds(page: Page, shop: Shop) -> None:
    load(page, shop.directory / "e" / "report.html")
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run("return document.querySelectorAll('h1').length") == 1
    unlabelled = "[...document.querySelectorAll('input,select')].filter(box => !box.labels.length).map(box => box.id)"
    assert page.run(f"return {unlabelled}") == []
    assert page.run("return [...document.querySelectorAll('th')].every(head => head.scope)")
    assert page.run("return [...document.querySelectorAll('table')].every(table => table.caption)")
    assert page.run("return document.getElementById('verdict').getAttribute('aria-live')") == "polite"
    assert page.run("return document.querySelector('svg').getAttribute('aria-label')").startswith("Events over time")


def test_texts_cannot_become_markup(page: Page, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    evil = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u2028"
    Appender(shop.domain).append(Append([item("evil", text=evil)], issued_by=None))
    from dbx.repo.evidence.checkpoints import sign_checkpoint

    shop.note = sign_checkpoint(shop.repository, shop.domain).note
    shop.pack("evil")
    load(page, tmp_path / "evil" / "report.html")
    assert give(page, format_vkey(shop.key)).startswith("Verified: all 33 events")
    assert page.run("return document.title") == "Evidence: the whole domain, default"
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert page.errors() == []


def test_the_policy_lets_nothing_else_run(page: Page, shop: Shop) -> None:
    load(page, shop.directory / "e" / "report.html")
    page.run(
        "const made = document.createElement('script'); made.textContent = \"document.title = 'owned'\";"
        "document.body.append(made)"
    )
    assert page.run("return document.title") != "owned"
    assert page.run("return fetch('https://example.com/').then(() => 'reached', () => 'refused')") == "refused"
    assert any("Content Security Policy" in message for message in page.errors())


def test_ten_thousand_events(page: Page, tmp_path: Path) -> None:
    """Their time beside that of ten times fewer: it grows with the events, not faster."""
    times = []
    for count in (1_000, 10_000):
        shop = Shop(tmp_path / str(count))
        for first in range(0, count, 1000):
            items = [item(f"o-{n % 997}", number=n, text="x" * 40) for n in range(first, first + 1000)]
            Appender(shop.domain).append(Append(items, issued_by=None))
        from dbx.repo.evidence.checkpoints import sign_checkpoint

        shop.note = sign_checkpoint(shop.repository, shop.domain).note
        assert shop.pack("many").report
        load(page, tmp_path / str(count) / "many" / "report.html")
        times.append(page.run("return performance.now()"))
        assert give(page, format_vkey(shop.key)).startswith(f"Verified: all {count + 32} events")
    assert times[1] < 30 * times[0]
