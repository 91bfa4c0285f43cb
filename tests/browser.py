"""A real browser without a window: headless Chromium, driven over WebDriver (W3C), with nothing but http.client."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Page:
    """A page that is open in the browser."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._path = f"/session/{session}"

    def open(self, path: Path) -> None:
        """Load a file."""
        self._ask("POST", "/url", {"url": path.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns that runs in the page."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """The text that is shown in an element."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def fill(self, selector: str, text: str) -> None:
        """Type into a field, key by key as a person does."""
        element = self._ask("POST", "/element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._ask("POST", f"/element/{element}/clear", {})
        self._ask("POST", f"/element/{element}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Click an element."""
        element = self._ask("POST", "/element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._ask("POST", f"/element/{element}/click", {})

    def wait(self, script: str, *, timeout_s: float = 30) -> Any:
        """What an expression gives, once it gives something that counts as true."""
        until = time.monotonic() + timeout_s
        while not (found := self.run(f"return ({script})")):
            if time.monotonic() > until:
                raise TimeoutError(script)
            time.sleep(0.02)
        return found

    def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._ask("POST", "/print", {}))

    def errors(self) -> list[str]:
        """What the browser's console says of errors and broken policies."""
        found = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in found if entry["level"] == "SEVERE"]

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return _ask(self._port, method, self._path + path, body)


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser with a fresh profile in the directory `profile`, and without any network."""
    assert CHROMIUM is not None
    assert DRIVER is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HOME": str(profile), "http_proxy": "", "no_proxy": "*"}
    driver = subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        _wait_for(port)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        arguments += [f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,1600"]
        options = {"binary": CHROMIUM, "args": arguments}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = _ask(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        page = Page(port, made["sessionId"])
        try:
            yield page
        finally:
            _ask(port, "DELETE", f"/session/{made['sessionId']}", None)
    finally:
        driver.terminate()
        driver.wait(10)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if _ask(port, "GET", "/status", None)["ready"]:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the driver of the browser does not answer")


def _ask(port: int, method: str, path: str, body: object) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    if isinstance(answer, dict) and "error" in answer:
        raise RuntimeError(f"{answer['error']}: {answer.get('message', '')[:500]}")
    return answer
