"""The gates. Each is imported when it is asked for: some need tools of the `dev` extra, some the modules themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GATES: Final[Mapping[str, str]] = {
    "imports": "app.contracts.gates.imports",
    "interface": "app.contracts.gates.interface",
    "data": "app.contracts.gates.data",
    "http": "app.contracts.gates.http",
    "events": "app.contracts.gates.events",
    "migrations": "app.contracts.gates.migrations",
    "wiring": "app.contracts.gates.wiring",
    "work": "app.contracts.gates.work",
}
"""Name -> the module that holds its `gate`."""
