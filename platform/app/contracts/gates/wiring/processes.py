"""Processes: the shop and its tests as people start them, with a part of the modules on and the others absent."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.request import urlopen

from app.contracts.gate import Bench

_OURS: Final = ("EMPORIUM_", "DATABASE_", "DB_", "PYTEST_")
_CODE: Final = "import sys; from app.contracts.absence import run; {imports}; run({absent!r}, {call})"
_SERVING: Final = re.compile(r"Serving on (http://\S+)")


def serve(bench: Bench, database: Mapping[str, str], *, modules: str, absent: Sequence[str]) -> Mapping[str, Any]:
    """Migrate, serve, look and stop; answers the API's document. Errors: RuntimeError, which says what was said."""
    variables = {**database, "EMPORIUM_MODULES": modules, "EMPORIUM_ENV": "test", "EMPORIUM_THREADS": "1"}
    _finished(_emporium(bench, variables, absent, "db", "upgrade"), "cannot be migrated")
    process = _emporium(bench, variables, absent, "serve", "--port", "0")
    try:
        url = _address(process)
        with urlopen(f"{url}/readyz", timeout=10), urlopen(f"{url}/openapi.json", timeout=10) as answer:  # noqa: S310 -- http
            document: Mapping[str, Any] = json.load(answer)
        process.send_signal(signal.SIGTERM)
        _finished(process, "does not stop cleanly")
    finally:
        process.kill()
        process.wait()
    return document


def pytest(bench: Bench, *arguments: str, modules: str, absent: Sequence[str]) -> subprocess.Popen[str]:
    """The tests, on a server that they start themselves; their database has the branches of these modules only."""
    call = f"lambda: sys.exit(pytest.main({['-p', 'no:cacheprovider', '-q', '-rfE', '--color=no', *arguments]!r}))"
    code = _CODE.format(imports="import pytest", absent=list(absent), call=call)
    return _process(bench, {"EMPORIUM_MODULES": modules}, code)


def _emporium(bench: Bench, variables: Mapping[str, str], absent: Sequence[str], *arguments: str) -> subprocess.Popen[str]:
    code = _CODE.format(
        imports=f"from app.cli.main import main; sys.argv[1:] = {list(arguments)!r}", absent=list(absent), call="main"
    )
    return _process(bench, variables, code)


def _process(bench: Bench, variables: Mapping[str, str], code: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.Popen(  # noqa: S603 -- our own code
        [sys.executable, "-c", code],
        cwd=bench.root,
        env={**inherited, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _address(process: subprocess.Popen[str]) -> str:
    said = ""
    for line in process.stdout or ():
        said += line
        if found := _SERVING.search(line):
            return found[1]
    raise RuntimeError(f"does not serve: {last_line(said)}")


def _finished(process: subprocess.Popen[str], failure: str) -> str:
    said, _ = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError(f"{failure}: {last_line(said)}")
    return said


def last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
