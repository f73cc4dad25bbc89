"""A headless Chromium, driven through chromedriver by the WebDriver protocol (W3C), with a log of all it asks for."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,1000",
]


def find() -> tuple[str, str] | None:
    """The programs of browser and driver; None when one of them is not installed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@dataclass(frozen=True)
class Browser:
    _session: httpx2.Client

    def open(self, url: str) -> None:
        self._post("url", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page; `return` hands a value back."""
        return self._post("execute/sync", script=script, args=list(arguments))

    def wait(self, script: str, *, seconds: float = 15) -> Any:
        """Ask until the script answers something true."""
        deadline = time.monotonic() + seconds
        while not (answer := self.run(script)):
            if time.monotonic() > deadline:
                raise AssertionError(f"still not true after {seconds} s: {script}")
            time.sleep(0.1)
        return answer

    def click(self, selector: str) -> None:
        self._post(f"element/{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        self._post(f"element/{self._find(selector)}/value", text=text)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(_value(self._session.get("screenshot"))))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Entries of the log `browser` (console) or `performance` since they were last read."""
        entries: list[dict[str, Any]] = self._post("se/log", type=kind)
        return entries

    def requested_urls(self) -> list[str]:
        """Everything that the browser wanted to load, whether or not it got through."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def _find(self, selector: str) -> str:
        found = self._post("element", using="css selector", value=selector)
        return str(found[_ELEMENT])

    def _post(self, path: str, **body: object) -> Any:
        return _value(self._session.post(path, json=body))


@contextmanager
def start(profile: Path) -> Iterator[Browser]:
    """A browser of one's own with a fresh profile; both processes end with the block."""
    programs = find()
    assert programs, "Chromium or chromedriver is not installed"
    port = free_port()
    driver = subprocess.Popen([programs[1], f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            wait_until(lambda: client.get("/status").status_code == 200)
            session = _value(client.post("/session", json=_capabilities(programs[0], profile)))["sessionId"]
            with httpx2.Client(base_url=f"{client.base_url}/session/{session}/", timeout=60, trust_env=False) as bound:
                yield Browser(bound)
            client.delete(f"/session/{session}")
    finally:
        driver.terminate()
        driver.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready after {seconds} s")


def _capabilities(browser: str, profile: Path) -> dict[str, Any]:
    options = {"binary": browser, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
    logs = {"performance": "ALL", "browser": "ALL"}
    return {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}}


def _value(response: httpx2.Response) -> Any:
    value = response.json()["value"]
    assert response.is_success, value
    return value
