"""The gate `work`: the service's transaction is the unit of work, and what a call may cost is written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.work.loading import check_files, check_mappers
from app.contracts.gates.work.outside import check_outside_calls
from app.contracts.gates.work.transactions import check_transactions

RULES: Final = {
    "commit": "Nothing in a module begins, commits or rolls back; the kernel does, at the end of the service's block.",
    "transaction-outside-service": "Use cases open transactions; crud takes the session, routers and commands call a use case.",
    "session-kept": "No session or connection outlives the block that opened it.",
    "generator-dependency": "No route depends on a generator, whose end runs after the answer was sent.",
    "outside-call-in-transaction": "No provider, mail server or other service is called while a transaction is open.",
    "lazy-load": "Touching an attribute reads nothing: relationships and deferred columns raise instead.",
    "no-budget": "Each route and each interface method has a budget of round trips, and each budget is of one that there is.",
    "unmeasured": "A test of the module measures each route and each interface method that has a budget.",
    "over-budget": "No route and no interface method takes more round trips than its budget.",
}


def _static(bench: Bench) -> Iterator[Finding]:
    told: set[str] = set()
    for finding in (*check_transactions(bench), *check_outside_calls(bench), *check_files(bench)):
        told.add(finding.key)
        yield finding
    yield from (finding for finding in check_mappers(bench) if finding.key not in told)
    from app.contracts.gates.work.budgets import check_budgets  # imports the modules, which the rest can do without

    yield from check_budgets(bench)


def _live(bench: Bench) -> Iterator[Finding]:
    from app.contracts.gates.work.measuring import check_measured  # as above

    yield from check_measured(bench)


gate: Final = Gate(
    name="work",
    contract="One use case is one transaction, opened and ended in one place, and costs what its module has written down.",
    rules=RULES,
    static=_static,
    live=_live,
)
