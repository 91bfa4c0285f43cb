"""Working schemas: `schemas/<aggregate>.yaml` in a domain, which people edit (dbx-schema(5)).

Loading is strict and tells every fault at once, with file, line, column and the word that was probably meant. Commands
change a file by editing its text, so comments and order stay.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict, Invalid, NotFound
from dbx.formats import yamltext
from dbx.model import names
from dbx.model.schemaparse import parse_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.model.schema import Problem, Schema
    from dbx.repo.domain import Domain
    from dbx.store.fs import Directory

SCHEMAS = "schemas"
SUFFIX = ".yaml"
PENDING = "schemas/activating"
"""While an older version is being activated: which, so that whoever comes next can finish it."""
MAX_BYTES = yamltext.MAX_BYTES
HEADER = "# yaml-language-server: $schema=../../../schema.json\n"
"""The first line of a file that dbx makes: editors find the JSON Schema in `.dbx/schema.json`."""
GUIDE = "schema.json"


class Working(NamedTuple):
    """A working schema as it is on disk, without a fault."""

    aggregate: str
    data: bytes
    document: dict[str, Any]
    schema: Schema


def file_of(aggregate: str) -> str:
    """The name of a working schema's file in its domain."""
    return f"{SCHEMAS}/{names.check_type(aggregate)}{SUFFIX}"


def find_types(directory: Directory) -> list[str]:
    """The aggregate types that have a working schema, sorted. Raises Invalid for a file that is not named after one.

    Hidden files, and those that end otherwise (copies that editors make), are not looked at.
    """
    found = []
    for entry in directory.names(SCHEMAS):
        name = entry.removesuffix(SUFFIX)
        if name == entry or entry.startswith("."):
            continue
        try:
            found.append(names.check_type(name))
        except Invalid as error:
            path = directory.path_of(f"{SCHEMAS}/{entry}")
            raise Invalid(
                f"'{path}' is not named after an aggregate type: {error.message}",
                hint="rename the file, or move it elsewhere",
                details={"file": path},
            ) from None
    return sorted(found)


def read_files(directory: Directory) -> dict[str, bytes]:
    """The bytes of every working schema, by type."""
    return {name: read_text(directory, name)[0] for name in find_types(directory)}


def get_working(directory: Directory, aggregate: str) -> Working:
    """The working schema of a type. Raises NotFound, and Invalid with everything that is wrong with the file."""
    data, path = read_text(directory, aggregate)
    return load_working(data, aggregate, path)


def read_text(directory: Directory, aggregate: str) -> tuple[bytes, str]:
    """The bytes of a working schema, sound or not, and its path. Raises NotFound, Invalid for more than MAX_BYTES."""
    name = file_of(aggregate)
    path = directory.path_of(name)
    try:
        size = directory.stat(name).st_size
        if size > MAX_BYTES:
            # People write these files: a large one is a mistake, not damage.
            raise Invalid(
                f"'{path}' has {size} bytes, more than the {MAX_BYTES} a schema may have",
                details={"file": path, "line": 1},
            )
        return directory.read(name, MAX_BYTES), path
    except FileNotFoundError:
        raise _missing(directory, aggregate) from None


def load_working(data: bytes, aggregate: str, path: str) -> Working:
    """The schema in the bytes of a file. Raises Invalid with everything that is wrong with it."""
    document = yamltext.load(data, name=path, max_bytes=MAX_BYTES)
    schema, problems = parse_schema(document, aggregate=aggregate)
    if schema is None or problems:
        raise faults(data, path, problems)
    return Working(aggregate, data, document, schema)


def list_working(directory: Directory) -> list[Working]:
    """Every working schema, by type. Raises Invalid for the first file that has a fault."""
    return [get_working(directory, name) for name in find_types(directory)]


def faults(data: bytes, path: str, problems: Sequence[Problem]) -> Invalid:
    """What is wrong with a file, each problem with its line and column, in the order of the file."""
    from dbx.formats.yamltree import load_tree, place_of

    tree = load_tree(data, name=path)
    lines = []
    for problem in problems:
        line, column = place_of(tree, problem.path, key=problem.on_key)
        lines.append(
            {
                "line": line,
                "column": column,
                "path": path_text(problem.path),
                "message": f"{sentence_of(problem)} at column {column}",
                "nearest": problem.nearest,
            }
        )
    lines.sort(key=lambda one: (one["line"], one["column"]))
    details = {"file": path, "line": lines[0]["line"], "column": lines[0]["column"], "lines": lines}
    if len(lines) == 1:
        return Invalid(f"'{path}', line {lines[0]['line']}: {lines[0]['message']}", details=details)
    return Invalid(f"'{path}' has {len(lines)} faults", details=details)


def place_in(working: Working, path: Sequence[str | int]) -> tuple[int, int]:
    """(line, column), from 1, of the key that a path leads to in a file, or of what comes nearest to it."""
    from dbx.formats.yamltree import load_tree, place_of

    return place_of(load_tree(working.data, name=working.aggregate), path, key=True)


def sentence_of(problem: Problem) -> str:
    """A problem in one sentence, with the word that was probably meant."""
    return problem.message if problem.nearest is None else f"{problem.message} (did you mean '{problem.nearest}'?)"


def path_text(path: Sequence[str | int]) -> str:
    """`columns.total.regex[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@contextmanager
def changing(domain: Domain) -> Iterator[Directory]:
    """The writer's lock: two shells that change schemas take turns, and nobody commits meanwhile."""
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            complete(domain)
            yield domain.directory
        finally:
            domain.lock.release()


def complete(domain: Domain) -> None:
    """Finish an activation that was interrupted, if there is one. The writer's lock must be held."""
    if domain.directory.exists(PENDING):
        from dbx.repo.schema.publishing import finish

        finish(domain.directory)
        domain.rules = None


def settled(domain: Domain) -> Directory:
    """The domain's directory, its schema files whole: an activation that was interrupted is finished first."""
    if domain.directory.exists(PENDING):
        with changing(domain):
            pass  # which finishes it
    return domain.directory


def create(domain: Domain, document: dict[str, Any]) -> Working:
    """A new working schema. Raises Conflict when the type has one, Invalid for what may not be."""
    from dbx.formats import yamledit

    aggregate = names.check_type(document["aggregate"])
    with changing(domain) as directory:
        path = directory.path_of(file_of(aggregate))
        if directory.exists(file_of(aggregate)):
            raise Conflict(
                f"the schema of '{aggregate}' exists already",
                hint=f"change it with 'dbx schema edit {aggregate}'",
                details={"file": path},
            )
        check_document(document, aggregate)
        data = yamledit.update(HEADER.encode(), document, name=path)
        made = load_working(data, aggregate, path)
        directory.write(file_of(aggregate), data)
    return made


def change(domain: Domain, aggregate: str, edit: Callable[[dict[str, Any]], None]) -> Working:
    """Let `edit` change the document of a working schema, and save it. Raises NotFound, Invalid and changes nothing."""
    from dbx.formats import yamledit

    with changing(domain) as directory:
        before = get_working(directory, aggregate)
        document = copy.deepcopy(before.document)
        edit(document)
        check_document(document, aggregate)
        path = directory.path_of(file_of(aggregate))
        data = yamledit.update(before.data, document, name=path)
        after = load_working(data, aggregate, path)
        if data != before.data:
            directory.write(file_of(aggregate), data)
    return after


def replace(domain: Domain, aggregate: str, data: bytes, *, expected: bytes | None) -> Working:
    """Put new bytes in the place of a working schema that has the bytes `expected`. Raises Invalid, Conflict."""
    with changing(domain) as directory:
        after = load_working(data, aggregate, directory.path_of(file_of(aggregate)))
        if directory.find(file_of(aggregate), MAX_BYTES) != expected:
            raise Conflict(f"the schema of '{aggregate}' was changed meanwhile", hint="look at it and try again")
        directory.write(file_of(aggregate), data)
    return after


def write_guide(directory: Directory) -> None:
    """Put the JSON Schema of schema files into the workspace, where the first line of each file points."""
    from importlib import resources

    from dbx.model.filedescription import FILE_NAME

    data = resources.files("dbx.model").joinpath(f"data/{FILE_NAME}").read_bytes()
    if directory.find(GUIDE, MAX_BYTES) != data:
        directory.write(GUIDE, data)


def check_document(document: dict[str, Any], aggregate: str) -> None:
    """Raise Invalid, with every problem there is, unless the document is a schema of this type.

    In the words of the change: the lines of a file that was never written would help nobody.
    """
    _, problems = parse_schema(document, aggregate=aggregate)
    if not problems:
        return
    lines = [{"path": path_text(one.path), "message": sentence_of(one)} for one in problems]
    said = "; ".join(f"{line['path']}: {line['message']}" if line["path"] else line["message"] for line in lines)
    raise Invalid(
        f"the schema of '{aggregate}' would not be valid: {said}",
        hint="nothing was changed",
        details={"problems": lines},
    )


def _missing(directory: Directory, aggregate: str) -> NotFound:
    import difflib

    near = difflib.get_close_matches(aggregate, find_types(directory), 1)
    hint = f"did you mean '{near[0]}'?" if near else f"create it with 'dbx schema create {aggregate} --events NAME'"
    return NotFound(f"there is no schema of '{aggregate}'", hint=hint)
