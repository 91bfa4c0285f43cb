"""Export the state of aggregates as CSV or JSON, a file for each type, or all of them in one zip archive."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from dbx.errors import Failure
from dbx.formats import canonical, csvtext
from dbx.ops.veil import Veil
from dbx.repo.outfile import writing_outside
from dbx.repo.reading.scan import Scan, find_active_types, iterate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zipfile import ZipFile

    from dbx.ops.session import Session

ID = "__aggregate_id"
_PIECE = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip archive can tell: it shall not depend on when it is made

Format = Literal["csv", "json"]


class Style(NamedTuple):
    """How states are written. `guard` keeps spreadsheets from running text of CSV as formulas; `lifted` shows what
    schemas hide."""

    format: Format = "csv"
    pretty: bool = False
    guard: bool = True
    lifted: bool = False


class ExportedType(NamedTuple):
    """A type, its file (for a zip archive the name inside), and how many aggregates are in it."""

    aggregate_type: str
    path: str
    aggregates: int


class Exported(NamedTuple):
    """What was written. `archive` is the zip archive, None without; `hidden` types have states with a member of the
    name of the id, which is not shown."""

    types: list[ExportedType]
    archive: str | None
    hidden: list[str]


def export_aggregates(
    session: Session,
    aggregate_type: str | None,
    output: str,
    style: Style,
    *,
    as_zip: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write the active aggregates of one type, or of all. Every file is whole or not there. Raises Failure.

    `output` is a file for one type if it has the format's extension or exists, else a directory, made if need be.
    """
    domain = session.domain
    types = find_active_types(domain) if aggregate_type is None else [aggregate_type]
    if aggregate_type is not None and next(iterate(domain, Scan(aggregate_type, take=1)), None) is None:
        types = []
    if not types:
        return Exported([], None, [])
    writer = _Writer(session, style, progress)
    if as_zip:
        archive = _archive_path(output, aggregate_type, style.format)
        return Exported(_write_zip(writer, types, archive), archive, writer.hidden)
    done: list[ExportedType] = []
    for kind, path in _paths(output, types, style.format):
        with writer.spooled(kind) as (content, count), writing_outside(path) as file:
            while piece := content.read(_PIECE):
                file.write(piece)
        done.append(ExportedType(kind, path, count))
    return Exported(done, None, writer.hidden)


def _paths(output: str, types: list[str], extension: str) -> Iterator[tuple[str, str]]:
    """(type, path) of each file; makes the directory."""
    looks_like_file = output.lower().endswith(f".{extension}") and not output.endswith(os.sep)
    is_file = os.path.lexists(output) and not os.path.isdir(output)
    if len(types) == 1 and (is_file or (looks_like_file and not os.path.isdir(output))):
        yield types[0], output
        return
    if is_file or (looks_like_file and not os.path.isdir(output)):
        raise Failure(
            "output path must be a directory when exporting multiple aggregate types",
            hint=f"'{output}' is taken for a file; name a directory, or use --zip",
        )
    os.makedirs(output, exist_ok=True)
    for kind in types:
        yield kind, os.path.join(output, f"{kind}.{extension}")


def _archive_path(output: str, aggregate_type: str | None, extension: str) -> str:
    if os.path.isdir(output):
        return os.path.join(output, f"{aggregate_type or 'aggregates'}_{extension}.zip")
    return f"{os.path.splitext(output)[0]}.zip"


def _write_zip(writer: _Writer, types: list[str], archive: str) -> list[ExportedType]:
    """The same states give the same bytes: names in order, no times, no owners."""
    from zipfile import ZipFile

    done: list[ExportedType] = []
    with writing_outside(archive) as file, os.fdopen(os.dup(file.fd), "w+b") as raw, ZipFile(raw, "w") as opened:
        for kind in types:
            name = f"{kind}.{writer.style.format}"
            with writer.spooled(kind) as (content, count):
                _add_member(opened, name, content)
            done.append(ExportedType(kind, name, count))
    return done


def _add_member(opened: ZipFile, name: str, content: IO[bytes]) -> None:
    from zipfile import ZIP_DEFLATED, ZipInfo

    member = ZipInfo(name, _EPOCH)
    member.compress_type = ZIP_DEFLATED
    member.create_system = 3  # Unix, wherever it is made
    member.external_attr = 0o100644 << 16
    member.file_size = os.fstat(content.fileno()).st_size
    with opened.open(member, "w") as target:
        while piece := content.read(_PIECE):
            target.write(piece)


class _Writer:
    """Writes the file of a type to where nobody sees it: only then is it known that it can be written at all."""

    def __init__(self, session: Session, style: Style, progress: Callable[[int], None] | None) -> None:
        self._domain = session.domain
        self._veil = Veil(session, lifted=style.lifted)
        self.style = style
        self._progress = progress
        self.hidden: list[str] = []

    @contextmanager
    def spooled(self, kind: str) -> Iterator[tuple[IO[bytes], int]]:
        """(the content, to be read, how many aggregates are in it)."""
        with ExitStack() as stack:
            content = stack.enter_context(tempfile.TemporaryFile())
            if self.style.format == "json":
                count = self._write_json(kind, content)
            else:
                rows = stack.enter_context(tempfile.TemporaryFile())
                count = self._write_csv(kind, rows, content)
            content.flush()
            content.seek(0)
            yield content, count

    def _states(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for aggregate in iterate(self._domain, Scan(kind)):
            state = dict(self._veil.cover(aggregate).state)
            if state.pop(ID, None) is not None and kind not in self.hidden:
                self.hidden.append(kind)
            yield aggregate.aggregate_id, state
            if self._progress is not None:
                self._progress(1)

    def _write_json(self, kind: str, content: IO[bytes]) -> int:
        count = 0
        for name, state in self._states(kind):
            whole = {ID: name, **dict(sorted(state.items()))}
            if self.style.pretty:
                text = json.dumps(whole, ensure_ascii=False, indent=2).replace("\n", "\n  ")
                content.write((",\n  " if count else "[\n  ").encode() + text.encode())
            else:
                members = ",".join(f"{canonical.encode_text(k)}:{canonical.encode_text(v)}" for k, v in whole.items())
                content.write(f"{',' if count else '['}{{{members}}}".encode())
            count += 1
        end = "[]" if not count else "\n]" if self.style.pretty else "]"
        content.write(f"{end}\n".encode())
        return count

    def _write_csv(self, kind: str, rows: IO[bytes], content: IO[bytes]) -> int:
        """Two steps, because which columns there are is known at the end."""
        guard = self.style.guard
        keys: set[str] = set()
        count = 0
        for name, state in self._states(kind):
            keys.update(state)
            rows.write(json.dumps([name, state]).encode() + b"\n")
            count += 1
        columns = sorted(keys)
        content.write(csvtext.encode_row([ID, *[csvtext.cell_of(key, guard=guard) for key in columns]]))
        rows.flush()
        rows.seek(0)
        for line in rows:
            name, state = json.loads(line)
            cells = [csvtext.cell_of(state.get(key), guard=guard) for key in columns]
            content.write(csvtext.encode_row([name, *cells]))
        return count
