"""Tables: the TOML files that people write for the checks, whose mistakes are told in one sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any


def read_tables(file: Path, name: str) -> list[Mapping[str, Any]]:
    """The tables `[[name]]` of a file that holds nothing else; none without a file. Errors: ValueError, what is wrong."""
    content = read_toml(file)
    if strangers := sorted(content.keys() - {name}):
        raise ValueError(f"it holds {', '.join(strangers)}, and should hold [[{name}]] alone")
    entries = content.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{name} is no list of tables: each entry begins with [[{name}]]")
    return entries


def read_toml(file: Path) -> dict[str, Any]:
    """Empty without a file. Errors: ValueError, what is wrong."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:
        raise ValueError(f"it is no TOML: {error}") from error


def is_day(value: object) -> bool:
    """A date, and no time of it: Python takes the latter for the former, and cannot compare them."""
    return type(value) is date
