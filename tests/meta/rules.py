"""The house rules that neither ruff nor import-linter can see, each a function from a source file to its findings.

A finding is `path:line: what is wrong`. An exception to a rule stands in the table beside it, with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.meta.source import Source

MAX_LINES = 400
MAX_STATEMENTS = 40

# Paths that may be longer, or hold a longer function (`path::function`), and why.
LONG: dict[str, str] = {
    "dbx/repo/intake.py::check": "the flat loop of the import: a call for each step would cost as much as the step",
    "dbx/repo/build.py::add": "the other half of it",
    "dbx/repo/working.py::fold_events": "the flat loop of the replay, for the same reason",
}

# Modules beside store/fs.py that may call the functions of `DURABLE`, and why.
DISK: dict[str, str] = {}

DURABLE = frozenset(
    {"rename", "renames", "replace", "link", "symlink", "unlink", "remove", "rmdir", "removedirs"}
    | {"fsync", "fdatasync", "sync"}
)
TREES = frozenset({"rmtree", "move", "copy", "copy2", "copyfile", "copytree"})
# Methods of paths that do the same and that no other common type has.
PATH_METHODS = frozenset({"unlink", "rmdir", "hardlink_to", "symlink_to", "write_bytes", "write_text"})

TERMINAL = {"os": {"environ", "environb", "getenv", "getenvb", "putenv"}, "sys": {"stdout", "stderr", "stdin", "argv"}}

UNSAFE_CALLS = {
    "os.system": "a shell",
    "os.popen": "a shell",
    "subprocess.getoutput": "a shell",
    "subprocess.getstatusoutput": "a shell",
    "yaml.load": "a loader that may build any object",
    "yaml.unsafe_load": "a loader that builds any object",
    "yaml.full_load": "a loader that builds many objects",
}
UNSAFE_IMPORTS = frozenset({"pickle", "cPickle", "shelve", "dill"})

VAGUE = frozenset(
    {"utils", "util", "helpers", "helper", "common", "manager", "managers", "handler", "handlers", "misc"}
)


def _at(src: Source, node: ast.AST, what: str) -> str:
    return f"{src.path}:{getattr(node, 'lineno', 1)}: {what}"


def _dotted(node: ast.expr) -> str:
    """`a.b.c` for such an expression, the empty string for any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str, str]]:
    """(node, module, name) of every import; the name is empty for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node, node.module or "", alias.name


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def only_fs_changes_the_disk(src: Source) -> list[str]:
    """Only store/fs.py renames, links, removes or syncs."""
    if src.path == "dbx/store/fs.py" or src.path in DISK:
        return []
    found = []
    for node in ast.walk(src.tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            owner, _, method = name.rpartition(".")
            if (owner == "os" and method in DURABLE) or (owner == "shutil" and method in TREES):
                found.append(_at(src, node, f"{name} belongs into store/fs.py"))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATH_METHODS:
            owner = _dotted(node.func).rpartition(".")[0]
            if owner not in ("os", "fs"):
                found.append(_at(src, node, f".{node.func.attr}() belongs into store/fs.py"))
    for node, module, name in _imports(src.tree):
        if (module == "os" and name in DURABLE) or (module == "shutil" and name in TREES):
            found.append(_at(src, node, f"{module}.{name} belongs into store/fs.py"))
    return found


def only_cli_meets_the_terminal(src: Source) -> list[str]:
    """Only the command line reads the environment and the arguments, prints or asks."""
    if src.path.startswith("dbx/cli/") or src.path == "dbx/__main__.py":
        return []
    found = []
    for node in ast.walk(src.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in TERMINAL.get(node.value.id, ()):
                found.append(_at(src, node, f"{node.value.id}.{node.attr} belongs into dbx/cli"))
        elif isinstance(node, ast.Call) and _dotted(node.func) in ("print", "input"):
            found.append(_at(src, node, f"{_dotted(node.func)}() belongs into dbx/cli"))
    for node, module, name in _imports(src.tree):
        if name in TERMINAL.get(module, ()):
            found.append(_at(src, node, f"{module}.{name} belongs into dbx/cli"))
    return found


def nothing_unsafe(src: Source) -> list[str]:
    """No eval, exec, pickle, shell or loader that builds objects from data."""
    found = []
    for node in ast.walk(src.tree):
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func)
        if name in ("eval", "exec"):
            found.append(_at(src, node, f"{name}() runs data as code"))
        elif name in UNSAFE_CALLS:
            found.append(_at(src, node, f"{name}: {UNSAFE_CALLS[name]}"))
        for keyword in node.keywords:
            if keyword.arg == "shell" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                found.append(_at(src, node, "shell=True: a shell"))
    for node, module, name in _imports(src.tree):
        whole = f"{module}.{name}"
        if module.partition(".")[0] in UNSAFE_IMPORTS:
            found.append(_at(src, node, f"{module} builds any object from data"))
        elif whole in UNSAFE_CALLS:
            found.append(_at(src, node, f"{whole}: {UNSAFE_CALLS[whole]}"))
    return found


def short_files(src: Source) -> list[str]:
    """A file has at most MAX_LINES lines."""
    lines = src.text.count("\n")
    if lines <= MAX_LINES or src.path in LONG:
        return []
    return [f"{src.path}:{lines}: {lines} lines, at most {MAX_LINES}"]


def _statements(body: list[ast.stmt]) -> int:
    """Statements below `body`. A nested function or class counts as one; it is counted by itself."""
    count = 0
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            count += 1
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            todo += ast.iter_child_nodes(node)
    return count


def short_functions(src: Source) -> list[str]:
    """A function has at most MAX_STATEMENTS statements, its docstring not counted."""
    found = []
    for function in _functions(src.tree):
        count = _statements(function.body) - (ast.get_docstring(function) is not None)
        if count > MAX_STATEMENTS and f"{src.path}::{function.name}" not in LONG:
            found.append(_at(src, function, f"{function.name} has {count} statements, at most {MAX_STATEMENTS}"))
    return found


def documented(src: Source) -> list[str]:
    """Every module, and every public function, class and method, has a docstring."""
    if not src.tree.body:
        return []  # an empty __init__.py
    found = [] if ast.get_docstring(src.tree) else [f"{src.path}:1: the module has no docstring"]
    todo: list[tuple[str, ast.Module | ast.ClassDef]] = [("", src.tree)]
    while todo:
        prefix, parent = todo.pop()
        if isinstance(parent, ast.ClassDef) and parent.bases and src.path.startswith("dbx/cli/"):
            continue  # click's documentation says what the methods of its classes do
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            decorators = {_dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
            if node.name.startswith("_") or any(d.endswith((".setter", ".deleter", "overload")) for d in decorators):
                continue
            # The docstring of a command's module is the command's.
            is_command = node.name == "command" and src.path.startswith("dbx/cli/commands/")
            if not ast.get_docstring(node) and not is_command:
                found.append(_at(src, node, f"{prefix}{node.name} has no docstring"))
            if isinstance(node, ast.ClassDef):
                todo.append((f"{node.name}.", node))
    return found


def no_stub(src: Source) -> list[str]:
    """Nothing pretends to be there: no NotImplementedError."""
    return [
        _at(src, node, "NotImplementedError: write it or leave it out")
        for node in ast.walk(src.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]


def plain_names(src: Source) -> list[str]:
    """No module is named for being a place where anything goes."""
    parts = src.path.removesuffix(".py").split("/")
    return [f"{src.path}:1: '{part}' does not say what is in it" for part in parts if part in VAGUE]
