"""The gate `imports`: who may import whom, in files that import-linter sees and in those that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.imports import behind, declared, hidden, layout, linter, reach
from app.contracts.sources import Sources


def check(bench: Bench) -> Iterator[Finding]:
    sources = Sources(bench)
    yield from layout.layout(bench, sources)
    yield from behind.unseen_imports(bench, sources)
    yield from hidden.hidden_imports(bench, sources)
    yield from reach.private_reaches(bench, sources)
    yield from declared.declared_needs(bench, sources)
    yield from linter.broken_contracts(bench)


gate: Final = Gate(
    name="imports",
    contract="Modules know each other by their interfaces only, and imports run downwards.",
    rules={**linter.RULES, **layout.RULES, **behind.RULES, **hidden.RULES, **reach.RULES, **declared.RULES},
    static=check,
)
