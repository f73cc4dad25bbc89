"""Subsets' own tests: the tests of a module pass when nothing but the module and what it needs is there.

Small: they import nothing of any other module. (`make test` runs them on an application of these modules only; see
tests/shop_fixtures.py.) Full: in every legal subset the tests of its modules are run, with the other modules absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.wiring.processes import last_line, pytest
from app.contracts.gates.wiring.subsets import Subset, legal_subsets, names_of
from app.contracts.sources import Source, Sources

RULES: Final = {
    "subset-tests": "The tests of a module pass in every set of modules that has it, with nothing else there.",
}
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s:]+)(?:::(\S+))?(?: - (.*))?$", re.MULTILINE)
_AT_ONCE: Final = 2
_HOUR: Final = 3600


# ---- small


def reaching_out(bench: Bench) -> Iterator[Finding]:
    """Tests that could not even be imported without a module that theirs does not need."""
    sources = Sources(bench)
    for module in bench.facts:
        there = _closure(bench, module)
        for source in sources.below(f"tests/{module}"):
            yield from _imports_of_absent(bench, source, module, there)


def _closure(bench: Bench, module: str) -> set[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += bench.facts[name].needs if name in bench.facts else ()
    return found


def _imports_of_absent(bench: Bench, source: Source, module: str, there: set[str]) -> Iterator[Finding]:
    on = sorted(there)
    unheard = {file: name for name, file in bench.facts[module].listens.items() if name not in there}
    for found in source.imports:
        top = found.name.partition(".")[0]
        publisher = next((name for file, name in unheard.items() if f"{found.name}.".startswith(f"{file}.")), None)
        if top in bench.facts and top not in there:
            why = f"which is not there when only {', '.join(on)} is on"
        elif publisher is not None:
            why = f"which nobody imports when its publisher {publisher} is off"
        else:
            continue
        yield _finding(bench, source.file, found.line, f"The tests of {module} import {found.name}, {why}.", on)


# ---- full


class Run(NamedTuple):
    """The tests of these modules, with this subset on."""

    subset: Subset
    modules: tuple[str, ...]


def failing(bench: Bench) -> Iterator[Finding]:
    """It takes as long as the tests do, several times."""
    if not bench.full:
        return
    seen = set()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for failures in threads.map(lambda run: list(_run(bench, run)), list(_runs(bench))):
            # The smallest set in which it fails says enough.
            yield from (failure.finding for failure in failures if failure.test not in seen)
            seen |= {failure.test for failure in failures}


def _runs(bench: Bench) -> Iterator[Run]:
    for subset in legal_subsets(bench.modules):
        wanted = tuple(each.name for each in subset if bench.wants(each.name) and _has_tests(bench, each.name))
        if wanted:
            yield Run(subset, wanted)


def _has_tests(bench: Bench, module: str) -> bool:
    return any((bench.root / "tests" / module).glob("test_*.py"))


class Failure(NamedTuple):
    test: str
    finding: Finding


def _run(bench: Bench, run: Run) -> Iterator[Failure]:
    on = [module.name for module in run.subset]
    folders = [f"tests/{name}" for name in run.modules]
    absent = [module.name for module in bench.modules if module not in run.subset]
    process = pytest(bench, *folders, modules=names_of(run.subset), absent=absent)
    said, _ = process.communicate(timeout=_HOUR)
    if process.returncode == 0:
        return
    found = list(dict.fromkeys(_FAILED.findall(said)))
    for file, test, reason in found:
        what = f"{test} fails" if test else f"{file} cannot be run"
        because = f": {reason.rstrip('.')}" if reason else ""
        finding = _finding(bench, file, None, f"{what} when only {', '.join(on)} is on{because}.", on)
        yield Failure(f"{file}::{test}", finding)
    if not found:
        what = f"The tests cannot be run when only {', '.join(on)} is on: {last_line(said)}."
        yield Failure(what, _finding(bench, folders[0], None, what, on))


def _finding(bench: Bench, file: str, line: int | None, what: str, on: Sequence[str]) -> Finding:
    return Finding(
        rule="wiring/subset-tests",
        module=bench.module_of(file),
        where=file,
        line=line,
        what=what,
        fix=(
            "Test the module by itself, with the interfaces and fakes of what it needs; what is about more of the shop"
            f" belongs to tests/flows. To look: EMPORIUM_MODULES={','.join(on)} pytest {file}."
        ),
    )
