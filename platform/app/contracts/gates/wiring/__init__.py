"""The gate `wiring`: modules fit together, all of them and every legal part of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.wiring import building, containers, descriptions, subset_tests, subsets


def check(bench: Bench) -> Iterator[Finding]:
    yield from descriptions.faulty_names(bench)
    modules = descriptions.usable()
    yield from descriptions.faulty_needs(bench, modules)
    neighbours = {module.name: module for module in modules}
    faulty = set()
    for module in modules:
        for finding in containers.faulty_containers(bench, module, neighbours):
            # What is left over does not keep the rest from being built.
            faulty |= {module.name} - ({module.name} if finding.rule == "wiring/unused-provider" else set())
            yield finding
    yield from building.unbuildable(bench, descriptions.in_order(modules), faulty)
    yield from subset_tests.reaching_out(bench)


def check_parts(bench: Bench) -> Iterator[Finding]:
    yield from subsets.unbootable(bench)
    yield from subset_tests.failing(bench)


gate: Final = Gate(
    name="wiring",
    contract="Modules fit together, all of them and every part of them that is closed under `needs`.",
    rules={**descriptions.RULES, **containers.RULES, **building.RULES, **subsets.RULES, **subset_tests.RULES},
    static=check,
    live=check_parts,
)
