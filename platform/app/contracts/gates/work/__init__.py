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
}


def _static(bench: Bench) -> Iterator[Finding]:
    told: set[str] = set()
    for finding in (*check_transactions(bench), *check_outside_calls(bench), *check_files(bench)):
        told.add(finding.key)
        yield finding
    yield from (finding for finding in check_mappers(bench) if finding.key not in told)


gate: Final = Gate(
    name="work",
    contract="One use case is one transaction, opened and ended in one place, and costs what its module has written down.",
    rules=RULES,
    static=_static,
)
