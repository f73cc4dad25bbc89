"""Accepting: a module's snapshots are rewritten when what changed is safe, agreed, or not released yet; all of them or none."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from app.contracts.gate import Bench
from app.contracts.gates import GATES
from app.contracts.promises.breaking import Agreement, faults, read_agreements
from app.contracts.promises.promise import Change, Promise, checksum, dump
from app.contracts.released import FILE, Released, read_released
from app.contracts.writing import write_all

_LATER: Final = timedelta(days=90)


class Refused(Exception):
    """Nothing was written. `reasons` are sentences, some with an entry to paste below."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, kw_only=True)
class Step:
    """One snapshot that changes."""

    module: str
    promise: Promise
    file: Path
    text: str | None
    changes: Sequence[Change]
    new: bool
    agreements: Sequence[Agreement]

    @property
    def breaking(self) -> list[Change]:
        return [change for change in self.changes if change.breaking]

    def rule(self, change: Change) -> str:
        return f"{self.promise.kind}/{change.rule}"

    def agreement(self, change: Change) -> Agreement | None:
        asked = (self.rule(change), change.where, change.what)
        return next((entry for entry in self.agreements if (entry.rule, entry.where, entry.what) == asked), None)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    steps: Sequence[Step]
    released: bool
    """Whether there was a release before: then, breaking changes were agreed."""


def promises() -> Iterator[Promise]:
    """Of every gate that keeps snapshots. Errors: Refused."""
    for gate, source in GATES.items():
        try:
            found = importlib.import_module(source)
        except Exception as error:
            raise Refused(_cannot(f"The gate {gate} cannot be loaded", error)) from error
        promise: Promise | None = getattr(found, "promise", None)
        if promise is not None:
            yield promise


def accept(root: Path, modules: Iterable[str], *, today: date | None = None) -> Accepted:
    """Rewrite the modules' snapshots (none named: of all modules). Errors: ValueError (an unknown module), Refused."""
    bench = Bench(root=root)
    names = list(modules) or list(bench.facts)
    for name in names:
        if name not in bench.facts:
            raise ValueError(f"There is no module {name}; there are {', '.join(bench.facts)}.")
    try:
        released = read_released(root)
    except ValueError as error:
        raise Refused(str(error)) from error
    steps = [step for name in dict.fromkeys(names) for step in _steps(bench, name, released)]
    if released.at is not None:
        today = today or datetime.now(UTC).date()
        reasons = [_missing(step, change, today) for step in steps for change in step.breaking if not step.agreement(change)]
        if reasons:
            raise Refused(*reasons)
    _write(root, steps, released)
    return Accepted(steps=steps, released=released.at is not None)


def told(accepted: Accepted) -> Iterator[str]:
    """What was done, line by line."""
    if not accepted.steps:
        yield "Every snapshot says already what the code promises."
    for step in accepted.steps:
        yield f"modules/{step.module}/contracts/{step.file.name}: {_summary(step)}"
        for change in sorted(step.changes, key=lambda change: not change.breaking):
            word = "breaking" if change.breaking else "safe"
            yield f"  {word:<8}  {change.where}: {change.what} [{step.rule(change)}]"
            agreement = step.agreement(change) if change.breaking else None
            if agreement is not None:
                yield f"            agreed by {', '.join(agreement.agreed)}; the old form goes on {agreement.until}"
    if not accepted.released and any(step.breaking for step in accepted.steps):
        yield f"Nothing has been released yet (there is no {FILE}), so breaking changes were taken, too."


def _summary(step: Step) -> str:
    if step.new:
        return "new."
    if step.text is None:
        return "deleted."
    number, breaking = len(step.changes), len(step.breaking)
    return f"{number} change{'' if number == 1 else 's'}, {breaking} of them breaking." if number else "in words only."


def _steps(bench: Bench, module: str, released: Released) -> Iterator[Step]:
    agreements = _agreements(bench, module)
    for promise in promises():
        step = _step(bench, module, promise, released, agreements)
        if step is not None:
            yield step


def _step(bench: Bench, module: str, promise: Promise, released: Released, agreements: Sequence[Agreement]) -> Step | None:
    file = promise.file(bench.root, module)
    shown = bench.shown(file)
    recorded = released.snapshots.get(module, {}).get(promise.kind)
    if recorded is not None and recorded != checksum(file):
        raise Refused(f"{shown} was edited by hand or deleted: restore it first (`git checkout -- {shown}`).")
    try:
        kept = promise.kept(bench.root, module)
    except ValueError as error:
        raise Refused(f"{shown} is no JSON ({error}): restore it, or delete it when it was never released.") from error
    try:
        now = promise.describe(bench, module)
        if kept is None or now is None:
            gone = kept is not None
            what = f"{module} promises nothing of the kind {promise.kind} any more."
            changes = [Change(rule="snapshot", where=shown, what=what, breaking=True)] if gone else []
        else:
            changes = promise.changes(bench, module, kept, now)
    except Exception as error:
        raise Refused(_cannot(f"What {module} promises ({promise.kind}) cannot be told", error)) from error
    text = None if now is None else dump(now)
    # Written by hand with other spaces, it is another file.
    if kept == now and (text is None or file.read_text(encoding="utf-8") == text):
        return None
    return Step(module=module, promise=promise, file=file, text=text, changes=changes, new=kept is None, agreements=agreements)


def _agreements(bench: Bench, module: str) -> Sequence[Agreement]:
    wrong = [finding for gate in GATES for finding in faults(bench, module, gate)]
    if wrong:
        raise Refused(*(f"{finding.where}: {finding.what}" for finding in wrong))
    return read_agreements(bench.root, module)


def _write(root: Path, steps: Sequence[Step], released: Released) -> None:
    texts: dict[Path, str | None] = {step.file: step.text for step in steps}
    if released.at is not None and steps:
        snapshots = {module: dict(kinds) for module, kinds in released.snapshots.items()}
        for step in steps:
            kinds = snapshots.setdefault(step.module, {})
            if step.text is None:
                kinds.pop(step.promise.kind, None)
            else:
                kinds[step.promise.kind] = hashlib.sha256(step.text.encode("utf-8")).hexdigest()
        texts[root / FILE] = replace(released, snapshots=snapshots).text()
    try:
        write_all(texts)
    except OSError as error:
        raise Refused(f"{error.filename or 'A file'} cannot be written ({error.strerror}); all is as before.") from error


def _missing(step: Step, change: Change, today: date) -> str:
    entry = [
        "[[change]]",
        f"rule = {_text(step.rule(change))}",
        f"where = {_text(change.where)}",
        f"what = {_text(change.what)}",
        'why = ""  # why the old form cannot stay',
        "agreed = []  # who agreed: modules, teams, clients",
        f"since = {today}  # when they agreed",
        f"until = {today + _LATER}  # when the old form goes",
    ]
    return (
        f"{step.module}: {change.where}: {change.what} That is breaking ({step.rule(change)}) and nobody has agreed: write"
        f" this into modules/{step.module}/contracts/breaking.toml, and fill it in:\n\n" + "\n".join(entry) + "\n"
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cannot(what: str, error: Exception) -> str:
    if os.environ.get("EMPORIUM_DEBUG", "").lower() in ("1", "on", "true", "yes"):
        raise error
    first = (str(error).strip() or type(error).__name__).partition("\n")[0].rstrip(".")
    return f"{what}: {type(error).__name__}: {first}. EMPORIUM_DEBUG=1 shows where."
