"""Agreements: breaking changes that a module has agreed on with its consumers, in its `contracts/breaking.toml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.tables import is_day, read_tables

FILE: Final = "breaking.toml"
_EXAMPLE: Final = (
    '[[change]] with rule = "http/removed-field", where = "…", what = "…", why = "…", agreed = ["ordering", "the web shop"],'
    " since = 2026-12-01, until = 2027-03-01"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One breaking change. `rule`, `where` and `what` are those of the finding; `until` is when the old form goes."""

    rule: str
    where: str
    what: str
    why: str
    agreed: tuple[str, ...]
    since: date
    until: date


def read_agreements(root: Path, module: str) -> list[Agreement]:
    """The entries that are complete; what is wrong with the others, or with the file, is for `faults`."""
    found: list[Agreement] = []
    try:
        entries = read_tables(_file(root, module), "change")
    except ValueError:
        return found
    for entry in entries:
        if not _lacks(entry):
            values = {name: entry[name] for name in ("rule", "where", "what", "why", "since", "until")}
            found.append(Agreement(**values, agreed=tuple(entry["agreed"])))
    return found


def faults(bench: Bench, module: str, gate: str) -> Iterator[Finding]:
    """Entries that say too little; those without a rule are reported by the gate `http`."""
    file = _file(bench.root, module)
    try:
        entries = read_tables(file, "change")
    except ValueError as error:
        if gate == "http":
            yield _fault(bench, module, gate, f"The file cannot be read: {error}.")
        return
    for number, entry in enumerate(entries, 1):
        lacking = _lacks(entry)
        rule = str(entry.get("rule", ""))
        if lacking and (rule.partition("/")[0] or "http") == gate:
            yield _fault(bench, module, gate, f"Entry {number} ({rule or 'without a rule'}) lacks {', '.join(lacking)}.")


def _fault(bench: Bench, module: str, gate: str, what: str) -> Finding:
    where = bench.shown(_file(bench.root, module))
    return Finding(rule=f"{gate}/agreement", module=module, where=where, what=what, fix=f"Write it as {_EXAMPLE}.")


def _file(root: Path, module: str) -> Path:
    return root / "modules" / module / "contracts" / FILE


def _lacks(entry: Mapping[str, Any]) -> list[str]:
    texts = [name for name in ("rule", "where", "what", "why") if not _is_text(entry.get(name))]
    agreed = entry.get("agreed")
    named = isinstance(agreed, list) and agreed and all(map(_is_text, agreed))
    dates = [f"{name} (a date)" for name in ("since", "until") if not is_day(entry.get(name))]
    return [*texts, *([] if named else ["agreed (who, one or more)"]), *dates]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
