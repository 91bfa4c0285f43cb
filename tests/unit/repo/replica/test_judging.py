"""A push is validated by its receiver under the schema versions that the commits name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import Invalid
from dbx.formats.bundle import START
from dbx.repo.domain import Domain
from dbx.repo.replica import offer as offers
from dbx.repo.replica.histories import Wanted, give, split, take
from dbx.repo.replica.quarantine import bring, quarantined
from dbx.repo.replica.receive import receive
from dbx.repo.schema import published
from tests.history import append, open_repository
from tests.unit.repo.replica.test_vet import TERMS, forge, parts

SCHEMA = b"aggregate: order\nevents:\n  placed: {}\ncolumns:\n  n:\n    type: integer\n    required: true\n"


def publish(domain: Domain, text: bytes = SCHEMA) -> str:
    made = published.draft({"order": text}, parent=None, actor=None, now="2026-11-26T00:00:00.000000Z", reason=None)
    domain.directory.make("schemas")
    domain.directory.write("schemas/order.yaml", text)
    domain.directory.make("refs/schemas")
    for folder in (published.OBJECTS, published.VERSIONS):
        domain.directory.make(folder)
    published.write(domain.directory, made, what="publish")
    return made.id


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Domain]:
    (tmp_path / "source").mkdir()
    repository = open_repository(tmp_path / "source")
    append(repository.domain(), "o-1")
    yield repository.domain()
    repository.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Domain]:
    (tmp_path / "target").mkdir()
    repository = open_repository(tmp_path / "target")
    yield repository.domain()
    repository.close()


def test_an_event_that_breaks_the_schema_its_commit_names_is_refused(source: Domain, target: Domain) -> None:
    from dataclasses import replace

    version = publish(source)
    forged = parts(source)
    forged[0].commit = replace(forged[0].commit, schema=version)
    with offers.offering(source, START) as offer:
        schemas = offer.schemas
    with quarantined(target.directory) as directory:
        arrived = forge(directory, source, forged)._replace(schemas=schemas)
        arrived = arrived._replace(header=arrived.header._replace(schemas=version))
        with pytest.raises(Invalid, match="version 1 of 'order/o-1' breaks its schema"):
            receive(target, arrived, TERMS._replace(validate=True))
        assert offers.describe(target).head == START
        assert published.find_head(target.directory) is None
        assert receive(target, arrived, TERMS).schemas == 1
    assert target.directory.read("schemas/order.yaml", 4096) == SCHEMA


def test_commits_that_name_no_schema_are_older_than_it(source: Domain, target: Domain) -> None:
    publish(source)
    with offers.offering(source, START) as offer, quarantined(target.directory) as directory:
        assert receive(target, bring(directory, offer), TERMS._replace(validate=True)).commits == 1


def test_single_aggregates_keep_to_the_schemas_of_who_takes_them(source: Domain, target: Domain) -> None:
    publish(target)
    lines = list(split(give(source, [Wanted("order", "o-1", 0)])))
    with pytest.raises(Invalid, match="breaks its schema"):
        take(target, lines, TERMS._replace(validate=True))
    assert offers.describe(target).head == START
    assert take(target, lines, TERMS).events == 1
