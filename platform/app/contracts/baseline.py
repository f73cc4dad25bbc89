"""The baseline: known debt, finding by finding, with a reason, an owner and a day when it ends. It can only shrink."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from app.contracts.finding import Finding
from app.contracts.gates import GATES
from app.contracts.released import read_released
from app.contracts.tables import is_day, read_tables

FILE: Final = "docs/BASELINE.toml"
RULES: Final = {
    "stale": "A debt that is paid is deleted from the baseline.",
    "expired": "A debt is paid by the day that it names.",
    "incomplete": "Each debt names the exact finding, a reason, an owner and a last day.",
    "grown": "Since a release, no new debt is taken up.",
}
_FIELDS: Final = ("rule", "where", "what", "reason", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """One entry; `rule`, `where` and `what` are the finding's, to the letter."""

    rule: str
    where: str
    what: str
    reason: str
    owner: str
    until: date

    @property
    def key(self) -> str:
        return f"{self.rule} | {self.where} | {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Findings that are not known debt, those that are, and what is wrong with the baseline itself."""

    findings: list[Finding]
    known: list[Finding]
    faults: list[Finding]


def settle(root: Path, findings: Sequence[Finding], *, gates: Collection[str], today: date, complete: bool = True) -> Settled:
    """Sort findings by the baseline. `gates` have run; `complete` says that they looked at everything.

    Errors: ValueError, when the file cannot be read.
    """
    entries, faults = _read(root)
    keys = {debt.key for debt in entries}
    found = {finding.key for finding in findings}
    for debt in entries:
        if debt.until < today:
            what = f"The debt {debt.key!r} of {debt.owner} was to be paid by {debt.until}."
            faults.append(_fault("expired", what, "Pay it: mend what the finding says, and delete the entry."))
        elif complete and debt.rule.partition("/")[0] in gates and debt.key not in found:
            faults.append(_fault("stale", f"Nothing is found any more of {debt.key!r}.", "Well done; delete the entry."))
    released = read_released(root)
    if released.at is not None:
        for key in sorted(keys - set(released.debts)):
            faults.append(_fault("grown", f"{key!r} is new since the release.", "Mend what it says; take no new debt."))
    lapsed = {debt.key for debt in entries if debt.until < today}
    excused = keys - lapsed
    return Settled(
        findings=[finding for finding in findings if finding.key not in excused],
        known=[finding for finding in findings if finding.key in excused],
        faults=faults,
    )


def keys(root: Path) -> tuple[str, ...]:
    return tuple(sorted(debt.key for debt in _read(root)[0]))


def _read(root: Path) -> tuple[list[Debt], list[Finding]]:
    try:
        entries = read_tables(root / FILE, "debt")
    except ValueError as error:
        raise ValueError(f"{FILE} cannot be read: {error}.") from error
    debts, faults = [], []
    for number, entry in enumerate(entries, 1):
        if lacking := list(_lacking(entry)):
            what = f"Entry {number} lacks {', '.join(lacking)}."
            faults.append(_fault("incomplete", what, f"Give it {', '.join(_FIELDS)} and until (a date), or delete it."))
        elif not _is_rule(entry["rule"]):
            what = f"Entry {number} is for {entry['rule']}, which no gate finds, or nothing may excuse."
            faults.append(_fault("incomplete", what, "Name the rule as the finding does, or delete the entry."))
        else:
            debts.append(Debt(**{name: entry[name] for name in (*_FIELDS, "until")}))
    return debts, faults


def _lacking(entry: Mapping[str, Any]) -> Iterator[str]:
    texts = {name: entry.get(name) for name in _FIELDS}
    yield from (name for name, text in texts.items() if not (isinstance(text, str) and text.strip()))
    if not is_day(entry.get("until")):
        yield "until"


def _is_rule(rule: str) -> bool:
    """A gate that cannot look finds nothing of what it is there for: that is no debt."""
    gate, _, name = rule.partition("/")
    return gate in GATES and name != "unusable"


def _fault(rule: str, what: str, fix: str) -> Finding:
    return Finding(rule=f"baseline/{rule}", module="app", where=FILE, what=what, fix=fix)
