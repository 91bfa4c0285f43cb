"""Importing click without importing `inspect`, which takes a tenth of the time of a short command.

click asks it for one thing at start-up: to strip the help text of every option, and of a single line that is easy. So a
module stands in its place, and loads the real one at the first other question.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "inspect"


class _Stand(ModuleType):
    """Answers what click asks at start-up; all else comes from the real module, which then takes over the name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of every module
            raise AttributeError(name)
        return getattr(_load(self), name)

    @staticmethod
    def cleandoc(doc: str) -> str:
        """As inspect.cleandoc."""
        if "\n" not in doc and "\t" not in doc:
            return doc.lstrip()
        real: str = _load(sys.modules[_NAME]).cleandoc(doc)
        return real


def _load(known: ModuleType) -> Any:
    if sys.modules.get(_NAME) is known:
        del sys.modules[_NAME]
    return import_module(_NAME)


def postpone() -> None:
    """Let the next `import inspect` load nothing yet. Does nothing where it has been loaded."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = _Stand(_NAME)
