"""Measuring: the modules' own tests ask each route and call each method once, and note what it took."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.work.budgets import Priced, file_of, priced, read_budgets

NOTES: Final = "PYTEST_EMPORIUM_MEASUREMENTS"
"""The variable that names the file for what tests measure."""
SERVER: Final = "PYTEST_EMPORIUM_SERVER"
PREFIX: Final = "PYTEST_EMPORIUM_PREFIX"
"""The variables that name the data directory of a server that runs already, and how databases and roles are called there."""
_SECONDS: Final = 240


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one request or call took."""

    module: str
    table: str
    name: str
    round_trips: int
    repeated: str = ""
    """The statement that was sent more than once, if there is one."""


def note(measured: Measured) -> bool:
    """For tests: keep what was measured for whoever asked for it; False when nobody did."""
    file = os.environ.get(NOTES)
    if not file:
        return False
    with Path(file).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps(asdict(measured)) + "\n")
    return True


def check_measured(bench: Bench) -> Iterator[Finding]:
    wanted = {module: things for module, things in priced(bench).items() if bench.wants(module)}
    results = _measure(bench, [module for module in wanted if (bench.root / _tests(module)).exists()])
    for module, things in wanted.items():
        try:
            budgets = read_budgets(bench.root, module)
        except ValueError:
            # Told already.
            continue
        if not (bench.root / _tests(module)).exists():
            yield _unmeasured_module(module)
            continue
        for thing in things:
            budget = getattr(budgets, thing.table).get(thing.name)
            found = results.get((module, thing.table, thing.name))
            if budget is None:
                continue
            if found is None:
                yield _unmeasured(module, thing)
            elif found.round_trips > budget:
                yield _over(module, thing, found, budget)


def _tests(module: str) -> str:
    return f"tests/{module}/test_budgets.py"


def _measure(bench: Bench, modules: Sequence[str]) -> Mapping[tuple[str, str, str], Measured]:
    """The most that each took. Errors: RuntimeError, when the tests cannot run."""
    if not modules:
        return {}
    with tempfile.TemporaryDirectory() as directory:
        notes = Path(directory) / "notes"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(_tests, modules)]
        done = subprocess.run(  # noqa: S603 -- our own tests
            command,
            cwd=bench.root,
            env=_environment(bench, notes),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode not in (0, 1):
            lines = (done.stdout + done.stderr).strip().splitlines()
            told = next((line for line in reversed(lines) if line.startswith(("ERROR", "E  "))), lines[-1] if lines else "")
            raise RuntimeError(f"pytest cannot run {' and '.join(map(_tests, modules))}: {told}")
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    results: dict[tuple[str, str, str], Measured] = {}
    for found in (Measured(**json.loads(line)) for line in lines):
        key = (found.module, found.table, found.name)
        results[key] = max(found, results.get(key, found), key=lambda measured: measured.round_trips)
    return results


def _environment(bench: Bench, notes: Path) -> dict[str, str]:
    """Our own, without what belongs to this run or leads to a real database."""
    kept = {name: value for name, value in os.environ.items() if not re.match("PYTEST_|DATABASE_|DB_|EMPORIUM_", name)}
    sources = [str(bench.root / "modules"), str(bench.root / "platform")]
    path = os.pathsep.join([*sources, *filter(None, [kept.get("PYTHONPATH")])])
    settings = bench.laboratory.settings
    bench.laboratory.server  # noqa: B018 -- runs from here on
    server = {} if settings.database_url else {SERVER: str(settings.data_dir), PREFIX: f"emporium_guest_{secrets.token_hex(6)}"}
    return {**kept, **server, NOTES: str(notes), "PYTHONPATH": path}


def _unmeasured_module(module: str) -> Finding:
    return Finding(
        rule="work/unmeasured",
        module=module,
        where=file_of(module),
        what=f"No test measures what {module} costs, so its budgets are guesses.",
        fix=f"Write {_tests(module)}: each route by `meter.spend`, each interface method by `meter.call`, once.",
    )


def _unmeasured(module: str, thing: Priced) -> Finding:
    return Finding(
        rule="work/unmeasured",
        module=module,
        where=file_of(module),
        what=f"No test measured {thing}, so its budget is a guess.",
        fix=f"Let a test in {_tests(module)} {'ask' if thing.table == 'routes' else 'call'} it once, on its success path; if"
        " there is one, run it to see why it fails.",
    )


def _over(module: str, thing: Priced, found: Measured, budget: int) -> Finding:
    again = f" `{found.repeated}` was sent more than once: one statement for all rows does it." if found.repeated else ""
    return Finding(
        rule="work/over-budget",
        module=module,
        where=thing.shown,
        what=f"{thing} took {found.round_trips} round trips, and its budget is {budget}.",
        fix=f"Take the statements out that were added.{again} If it has to cost that, its team raises the budget in"
        f" {file_of(module)}.",
    )
