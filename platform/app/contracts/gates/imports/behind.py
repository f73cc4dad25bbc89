"""Imports of files that import-linter does not see (tests, migrations), and those that it takes for other packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sources import SOURCE_ROOTS, Import, Source, Sources

RULES: Final = {
    "source-root": "Packages are imported by their names below the source roots: `catalog`, not `modules.catalog`.",
    "tests-behind-doors": "Tests of one part know others by interface and fakes only, and neither `app` nor their tests.",
    "migration-imports": "A revision imports no module; it spells out its tables.",
}
OPEN_TO_TESTS: Final = ("interface", "fakes")
_SECOND_COPIES: Final = ("modules.", "platform.kernel.", "platform.app.")


def unseen_imports(bench: Bench, sources: Sources) -> Iterator[Finding]:
    for folder in (*SOURCE_ROOTS, "migrations", "tests", "benchmarks"):
        for source in sources.below(folder):
            yield from _second_copies(bench, source)
    for part in (*bench.facts, "kernel"):
        for source in sources.below(f"tests/{part}"):
            yield from _behind_doors(bench, source, part)
    for module in (*bench.facts, "kernel"):
        for source in sources.below(f"{'platform' if module == 'kernel' else 'modules'}/{module}/migrations"):
            yield from _frozen(bench, source, forbidden=(*bench.facts, "app"))
    for source in sources.below("migrations"):
        # env.py asks app for the list of modules.
        yield from _frozen(bench, source, forbidden=tuple(bench.facts))


def private_part(bench: Bench, name: str) -> str | None:
    """The part of a module's inside that is named, `catalog.service` for `catalog.service.products`; else None."""
    module, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    if module not in bench.facts or part in ("", *OPEN_TO_TESTS):
        return None
    return f"{module}.{part}"


def _second_copies(bench: Bench, source: Source) -> Iterator[Finding]:
    for found in source.imports:
        if f"{found.name}.".startswith(_SECOND_COPIES):
            rest = found.name.partition(".")[2]
            fix = f"Write {rest}: `modules/` and `platform/` are source roots, import-linter does not see past them."
            yield _finding(
                bench, "source-root", source, found, f"{_here(source)} imports {found.name}, a second copy of {rest}.", fix
            )


def _behind_doors(bench: Bench, source: Source, part: str) -> Iterator[Finding]:
    for found in source.imports:
        package, _, rest = found.name.partition(".")
        what = f"{_here(source)} imports {found.name}"
        if package == "app":
            fix = "Use a fixture of tests/ (`shop`, `engines`), or move the test to tests/flows, which knows the whole shop."
            yield _finding(bench, "tests-behind-doors", source, found, f"{what}, and the tests of {part} do not know app.", fix)
        elif package == "tests" and rest.partition(".")[0] in set(bench.facts) - {part}:
            fix = "Move what both use to a file in tests/, or the test to tests/flows."
            yield _finding(bench, "tests-behind-doors", source, found, f"{what}, which belongs to other tests.", fix)
        elif package in bench.facts and package != part and rest.partition(".")[0] not in OPEN_TO_TESTS:
            fix = f"Import {package}.interface or {package}.fakes; a test of both modules together belongs to tests/flows."
            yield _finding(bench, "tests-behind-doors", source, found, f"{what}, which is behind the door of {package}.", fix)


def _frozen(bench: Bench, source: Source, *, forbidden: tuple[str, ...]) -> Iterator[Finding]:
    for found in source.imports:
        if found.name.partition(".")[0] in forbidden:
            what = f"{_here(source)} imports {found.name}, so it changes when that does."
            fix = "Spell the tables out (`sa.table`, `op.execute`): a revision is frozen history and imports no module."
            yield _finding(bench, "migration-imports", source, found, what, fix)


def _here(source: Source) -> str:
    return source.file.rpartition("/")[2]


def _finding(bench: Bench, rule: str, source: Source, found: Import, what: str, fix: str) -> Finding:
    module = bench.module_of(source.file)
    return Finding(rule=f"imports/{rule}", module=module, where=source.file, line=found.line, what=what, fix=fix)
