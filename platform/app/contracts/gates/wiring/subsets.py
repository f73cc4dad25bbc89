"""Subsets: every set of modules that is closed under `needs` boots on a database with just its branches, and serves.

Small: one process for all. Full: each subset migrates and serves in processes of its own, with the other modules absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from alembic import command
from starlette.testclient import TestClient

from app.application import create_app
from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.wiring.processes import serve
from app.failures import sentence_of
from app.migrations import Target, branches, config
from app.modules import in_order_of_needs
from kernel.module import Module
from kernel.settings import load_settings

RULES: Final = {
    "subset": "Every set of modules that is closed under `needs` boots on its own branches, serves its routes and stops.",
}
Subset = tuple[Module, ...]


class Refused(Exception):
    """The subset does not work; the message says how."""


def legal_subsets(modules: Sequence[Module]) -> list[Subset]:
    """Closed under `needs`, each in order of needs, the smaller ones first; the first has no module at all."""
    return [
        in_order_of_needs(chosen)
        for size in range(len(modules) + 1)
        for chosen in combinations(modules, size)
        if {need for module in chosen for need in module.needs} <= {module.name for module in chosen}
    ]


def names_of(subset: Subset) -> str:
    """As EMPORIUM_MODULES names it."""
    return ",".join(module.name for module in subset) or "none"


def unbootable(bench: Bench) -> Iterator[Finding]:
    operations: dict[str, frozenset[str]] = {}
    failed: list[set[str]] = []
    for subset in legal_subsets(bench.modules):
        names = {module.name for module in subset}
        # A set with one in it that does not work says nothing new.
        if any(other <= names for other in failed) or (bench.only and not bench.only & {*names, "kernel", "app"}):
            continue
        try:
            with bench.laboratory.empty() as target:
                document = (_serve_apart if bench.full else _serve_here)(bench, target, subset)
            _require_own_operations(subset, document, operations)
        except Exception as error:  # whatever keeps it from booting is the finding
            failed.append(names)
            yield _finding(subset, error)


def _serve_here(bench: Bench, target: Target, subset: Subset) -> Mapping[str, Any]:
    command.upgrade(config(target, among=branches(subset)), "heads")
    variables = {variable for module in bench.modules for variable in module.variables}
    environ = {**bench.laboratory.environment(target), "EMPORIUM_ENV": "test", "EMPORIUM_THREADS": "1"}
    settings = load_settings(environ=environ, env_file=bench.root / "no.env", known=variables)
    with TestClient(create_app(settings, modules=subset)) as client:
        ready = client.get("/readyz")
        if ready.status_code != 200:
            raise Refused(f"is not ready: {ready.json().get('detail', ready.text)}")
        document: Mapping[str, Any] = client.get("/openapi.json").raise_for_status().json()
    return document


def _serve_apart(bench: Bench, target: Target, subset: Subset) -> Mapping[str, Any]:
    absent = [module.name for module in bench.modules if module not in subset]
    return serve(bench, bench.laboratory.environment(target), modules=names_of(subset), absent=absent)


def _require_own_operations(subset: Subset, document: Mapping[str, Any], known: dict[str, frozenset[str]]) -> None:
    """Exactly the operations of the modules that are on, and of each the same as in a smaller subset."""
    found = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    served: dict[str, set[str]] = {}
    for name in found:
        served.setdefault(name.partition("_")[0], set()).add(name)
    strangers = sorted(served.keys() - {module.name for module in subset} - {"health"})
    if strangers:
        raise Refused(f"serves operations of {', '.join(strangers)}, which is off")
    for module in subset:
        own = frozenset(served.get(module.name, set()))
        if own != known.setdefault(module.name, own):
            changed = ", ".join(sorted(own ^ known[module.name]))
            raise Refused(f"does not serve the same operations of {module.name} as a smaller set ({changed})")


def _finding(subset: Subset, error: Exception) -> Finding:
    # Every smaller set works: it is about the one that came last.
    module = subset[-1].name if subset else "app"
    reason = str(error) if isinstance(error, Refused) else f"does not boot: {sentence_of(error) or _told(error)}"
    others = "by themselves" if len(subset) > 1 else "alone"
    return Finding(
        rule="wiring/subset",
        module=module,
        where=f"EMPORIUM_MODULES={names_of(subset)}",
        what=f"The shop of {names_of(subset)} {others} {reason.rstrip('.')}.",
        fix=(
            f"Let {module} do without what it does not list in `needs`; to look: EMPORIUM_MODULES={names_of(subset)}"
            " EMPORIUM_DATA_DIR=.data/part emporium run."
        ),
    )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no words').partition(chr(10))[0]}"
