"""The HTTP transport keeps the contract with a real server process on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.history import fill
from tests.unit.remotes.contract import Far, TransportContract

DBX = os.path.join(os.path.dirname(sys.executable), "dbx")


class TestHttp(TransportContract):
    @pytest.fixture
    def far(self, tmp_path: Path) -> Iterator[Far]:
        path = tmp_path / "far"
        path.mkdir()
        fill(path)
        server = subprocess.Popen(
            [DBX, "serve", "--port", "0", "--json", "--quiet"],
            cwd=path,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        )
        try:
            assert server.stdout is not None
            yield Far(path, json.loads(server.stdout.readline())["url"])
        finally:
            server.terminate()
            assert server.wait(20) == 0
