"""Shops as people start them: `emporium …` as a process of its own, with its own address and data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # has no annotations

EMPORIUM: Final = Path(sys.executable).with_name("emporium")
_OURS: Final = ("EMPORIUM_", "DATABASE_", "DB_")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**variables: str) -> dict[str, str]:
    """Ours without what would change the shop, and with `variables`. What is switched off for the tests stays off."""
    ours = {name for name in os.environ if name.startswith(_OURS) and name != "EMPORIUM_MODULES"}
    kept = {name: value for name, value in os.environ.items() if name not in ours | {"HOST", "PORT"}}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def until(true: Callable[[], Any], what: str, *, seconds: float = 30) -> Any:
    """Ask again until it is true."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} seconds still not: {what}")
        time.sleep(0.05)
    return answer


@dataclass
class Shop:
    """A running `emporium` command in a process group of its own, as a terminal would start it."""

    log: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, *arguments: str, log: Path, variables: Mapping[str, str], command: list[str] | None = None) -> Shop:
        port = free_port()
        with log.open("wb") as output, heeding_signals():
            process = subprocess.Popen(
                [*(command or [str(EMPORIUM)]), *arguments],
                env=environment(PORT=str(port), **variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(log, port, process)

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, *, data: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON; POST when there is data. Errors: OSError, when nobody answers."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": "application/json"})  # noqa: S310 -- http
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 -- http
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the shop ended with {self.process.returncode}:\n{self.said}")
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def opened(self) -> Shop:
        """This shop, once it is ready."""
        until(self.is_ready, f"ready; it said:\n{self.said}")
        return self

    def end(self, number: int = signal.SIGINT, *, group: bool = False) -> int:
        """Send the signal (as a terminal does: to the whole group) and answer the exit code."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.wait(timeout=12)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def heeding_signals() -> Iterator[None]:
    """A run in the background (`make test &`, nohup) ignores them, and what it starts would inherit that."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def server_of(data: Path) -> int | None:
    """The process id of the embedded PostgreSQL that serves this directory."""
    # Not the one of `initdb`, which works in a directory of another name.
    for lock in data.glob("postgres-??/postmaster.pid"):
        # Empty for a moment, when it has just been made.
        pid = int((lock.read_text(encoding="utf-8").split() or ["0"])[0])
        if pid and psutil.pid_exists(pid):
            return pid
    return None
