"""Budgets: how many round trips to the database each route and each interface method of a module may take.

They stand in the module's `contracts/budgets.toml`, and its `tests/<module>/test_budgets.py` measures them:

    [routes]
    catalog_read_product = 1

    [methods]
    reserve = 1
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import URL

from app.container import build
from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.tables import read_toml
from kernel.database.engines import Engines
from kernel.module import Module
from kernel.settings import Settings

TABLES: Final = ("routes", "methods")


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """What stands in a module's file."""

    routes: Mapping[str, int]
    methods: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A route or a method, which has to have a budget."""

    table: str
    """`routes` or `methods`."""
    name: str
    """As the file names it: the operationId of a route, the name of a method."""
    shown: str
    """As people call it: `GET /api/v1/products`, `CatalogService.reserve`."""
    where: str
    line: int | None

    def __str__(self) -> str:
        return f"{self.shown} ({self.name})" if self.table == "routes" else self.shown


def file_of(module: str) -> str:
    return f"modules/{module}/contracts/budgets.toml"


def read_budgets(root: Path, module: str) -> Budgets:
    """Empty without a file. Errors: ValueError, one sentence."""
    file = root / file_of(module)
    try:
        content = read_toml(file)
    except ValueError as error:
        raise ValueError(f"{file_of(module)} cannot be read: {error}.") from error
    for table, entries in content.items():
        if table not in TABLES or not isinstance(entries, dict):
            raise ValueError(f"{file_of(module)} holds {table}, besides the tables {' and '.join(TABLES)}.")
        for name, budget in entries.items():
            if not isinstance(budget, int) or isinstance(budget, bool) or budget < 0:
                raise ValueError(f"{file_of(module)} says {name} = {budget!r}, which is no number of round trips.")
    return Budgets(**{table: content.get(table, {}) for table in TABLES})


def priced(bench: Bench) -> dict[str, list[Priced]]:
    """Built-in module -> its routes and interface methods, from the code as it is."""
    # Nothing is connected, and nobody is answered.
    engines = Engines(URL.create("postgresql+psycopg2"), threads=1, roles=None)
    settings = Settings(environment="test", secret_key=SecretStr("no request is ever answered with it"))
    found: dict[str, list[Priced]] = {}
    for built in build(settings, engines, modules=bench.modules).modules:
        if built.module.name in bench.facts:
            declarations = () if built.router is None else built.router.declarations
            routes = [_priced(bench, "routes", d.operation_id, f"{d.method} {d.path}", d.endpoint) for d in declarations]
            found[built.module.name] = [*routes, *_methods(bench, built.module)]
    return found


def _methods(bench: Bench, module: Module) -> Iterator[Priced]:
    for protocol in protocols(module):
        for name, function in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                yield _priced(bench, "methods", name, f"{protocol.__name__}.{name}", function)


def protocols(module: Module) -> list[type]:
    """The doors of a module: one Protocol, or several with their visitors."""
    offers: Any = module.offers
    return [offers] if isinstance(offers, type) else [offer.protocol for offer in offers or ()]


def _priced(bench: Bench, table: str, name: str, shown: str, function: Any) -> Priced:
    code = inspect.unwrap(function).__code__
    file = Path(code.co_filename)
    where = bench.shown(file) if file.is_relative_to(bench.root) else file.name
    return Priced(table=table, name=name, shown=shown, where=where, line=code.co_firstlineno)


def check_budgets(bench: Bench) -> Iterator[Finding]:
    """Each route and each method has a budget, and no budget is left of one that is gone."""
    for module, things in priced(bench).items():
        try:
            budgets = read_budgets(bench.root, module)
        except ValueError as error:
            fix = "Write it as [routes] and [methods], each line `name = <round trips>`."
            yield Finding(rule="work/no-budget", module=module, where=file_of(module), what=str(error), fix=fix)
            continue
        for table in TABLES:
            wanted = {thing.name: thing for thing in things if thing.table == table}
            entries: Mapping[str, int] = getattr(budgets, table)
            yield from (_missing(module, thing) for name, thing in wanted.items() if name not in entries)
            yield from (_left_over(bench, module, table, name) for name in entries if name not in wanted)


def _missing(module: str, thing: Priced) -> Finding:
    kind = "route" if thing.table == "routes" else "interface method"
    return Finding(
        rule="work/no-budget",
        module=module,
        where=thing.where,
        line=thing.line,
        what=f"The {kind} {thing.shown} has no budget of round trips.",
        fix=f"Measure it in tests/{module}/test_budgets.py, and write `{thing.name} = <round trips>` below [{thing.table}] in"
        f" {file_of(module)}.",
    )


def _left_over(bench: Bench, module: str, table: str, name: str) -> Finding:
    text = (bench.root / file_of(module)).read_text(encoding="utf-8")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf'\s*"?{re.escape(name)}"?\s*=', line)]
    return Finding(
        rule="work/no-budget",
        module=module,
        where=file_of(module),
        line=lines[0] if lines else None,
        what=f"There is a budget for {name} below [{table}], but no such {'route' if table == 'routes' else 'method'}.",
        fix="Delete the line, or give it the name that the code has now.",
    )
