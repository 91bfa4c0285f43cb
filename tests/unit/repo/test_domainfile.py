"""domain.yaml: what a domain's references call it, where that is not its name."""

from __future__ import annotations

from dbx.repo.domainfile import DomainFile, known_as

FILE = DomainFile("00000000-0000-0000-0000-000000000001", "orders", "2026-11-23T07:42:00.123456Z")


def test_a_domain_is_called_by_its_name_unless_it_is_known_otherwise() -> None:
    assert FILE.called == "orders"
    assert known_as(FILE, "orders") == FILE
    known = known_as(FILE, "flights")
    assert (known.name, known.called, known.settings) == ("orders", "flights", {"reference_domain": "flights"})


def test_other_settings_stay_and_the_old_name_needs_none() -> None:
    file = DomainFile(FILE.id, "orders", FILE.created_at, settings={"restrict": "strict", "reference_domain": "old"})
    assert known_as(file, "new").settings == {"restrict": "strict", "reference_domain": "new"}
    assert known_as(file, "orders").settings == {"restrict": "strict"}


def test_what_is_no_name_is_not_taken_for_one() -> None:
    assert DomainFile(FILE.id, "orders", FILE.created_at, settings={"reference_domain": 7}).called == "orders"
