"""checking events against a schema of ten columns, beside parsing them

Every column has a rule: patterns, ranges, formats, lengths. The reference is the JSON parser of the batch path over the
whole input line of the same event. Both are processor time in one process, round by round in turn.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.figures import Figure, faster, median, slower
from tests.bench.harness import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.harness import Bench

_DOCUMENT: dict[str, Any] = {
    "aggregate": "person",
    "columns": {
        "name": {"type": "text", "required": "create", "length": {"min": 1, "max": 80}},
        "email": {"type": "text", "format": "email"},
        "country": {"type": "text", "format": "country_code"},
        "age": {"type": "integer", "range": {"min": 0, "max": 150}},
        "balance": {"type": "decimal(12,2)", "range": {"min": "-1000000", "max": "1000000"}},
        "code": {"type": "text", "regex": ["^[A-Z]{3}-[0-9]{4}$"]},
        "born": {"type": "date", "range": {"min": "1900-01-01", "max": "2030-01-01"}},
        "seen": {"type": "text", "format": "iso_8601"},
        "score": {"type": "float", "range": {"min": 0, "max": 1}},
        "slug": {"type": "text", "format": "snake_case", "contains": ["_"]},
    },
    "events": {"person_created": {}},
}


def measure(bench: Bench) -> Iterator[Figure]:
    """A batch, the first event of a process, and a whole import."""
    count, rounds = (2_000, 3) if bench.quick else (20_000, 11)
    took = bench.worker(__name__, str(count), str(rounds))
    parse, check = ([seconds / count for seconds in took[name]] for name in ("parse", "check"))
    yield slower("check an event, ten columns", check, parse, beside="parse its line", most=1.5)
    yield Figure("compile the checks of an event", median(took["compile"]), "s")
    yield from _imports(bench)


def _imports(bench: Bench) -> Iterator[Figure]:
    """The same events staged by the command, with and without the schema."""
    count, rounds = (5_000, 2) if bench.quick else (100_000, 5)
    path = Path(bench.path("people.jsonl"))
    path.write_text("".join(f"{line}\n" for line in _lines(count)))
    made = 0

    def stage(*, with_schema: bool) -> float:
        nonlocal made
        made += 1
        where = bench.fresh_repository(f"validation-{made}")
        if with_schema:
            schemas = Path(where, ".dbx", "domains", "default", "schemas")
            schemas.mkdir(exist_ok=True)
            # JSON is YAML.
            (schemas / "person.yaml").write_text(json.dumps(_DOCUMENT))
        return bench.dbx("aggregate", "apply", "--stage", "--from", str(path), cwd=where).seconds

    took = in_turn(rounds, {"with": lambda: stage(with_schema=True), "without": lambda: stage(with_schema=False)})
    yield faster("stage with the schema", took["with"], took["without"], beside="without", least=0.6)


def _lines(count: int) -> list[str]:
    draw = random.Random(4)
    names = ["Ada Lovelace", "Grace Hopper", "Alan Turing", "Barbara Liskov", "Edsger Dijkstra"]
    lines = []
    for number in range(count):
        name = draw.choice(names)
        slug = name.lower().replace(" ", "_")
        payload = {
            "name": name,
            "email": f"{slug.replace('_', '.')}{number}@example.com",
            "country": draw.choice(["GB", "US", "DE", "NL"]),
            "age": draw.randrange(100),
            "balance": draw.randrange(-(10**7), 10**7) / 100,
            "code": f"{draw.choice(['ABC', 'XYZ'])}-{draw.randrange(1000, 10000)}",
            "born": f"19{draw.randrange(10, 100)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
            "seen": f"2026-11-{draw.randrange(1, 29):02}T07:42:00.{draw.randrange(10**6):06}Z",
            "score": draw.random(),
            "slug": slug,
        }
        event = {"aggregate_type": "person", "aggregate_id": f"p-{number}", "event_type": "person_created"}
        lines.append(json.dumps({**event, "payload": payload}))
    return lines


def _time(count: int, rounds: int) -> dict[str, list[float]]:
    from dbx.formats import canonical
    from dbx.model.schemaparse import parse_schema
    from dbx.model.validation import compile_event

    schema, problems = parse_schema(_DOCUMENT)
    if schema is None:
        raise ValueError(problems)
    lines = _lines(count)
    payloads = [json.loads(line)["payload"] for line in lines]
    check, scan_once = compile_event(schema, "person_created", first=True), canonical.scan_once

    def parse_all() -> None:
        for line in lines:
            scan_once(line, 0)

    def check_all() -> None:
        for payload in payloads:
            if check(payload):
                raise ValueError(check(payload))

    def compile_one() -> None:
        compile_event(schema, "person_created", first=True)

    return in_turn(
        rounds,
        {name: _cpu(run) for name, run in (("parse", parse_all), ("check", check_all), ("compile", compile_one))},
    )


def _cpu(run: Callable[[], None]) -> Callable[[], float]:
    def seconds() -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    return seconds


if __name__ == "__main__":
    json.dump(_time(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
