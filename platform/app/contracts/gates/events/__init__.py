"""The gate `events`: each module's events are what its snapshot says, and who hears them, or finds them in the outbox, can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.events.declarations import DECLARATION_RULES, check_declarations
from app.contracts.gates.events.hearing import HEARING_RULES, check_hearing
from app.contracts.promises.announced import EVENT_RULES, compare, describe, unreadable
from app.contracts.promises.promise import SNAPSHOT_RULES, Promise
from app.contracts.promises.schemas import ANSWER_RULES, COMMON_RULES

promise: Final = Promise(kind="events", describe=describe, compare=compare, try_kept=unreadable)


def _static(bench: Bench) -> Iterator[Finding]:
    yield from check_declarations(bench)
    yield from promise.check(bench)
    yield from check_hearing(bench, promise)


gate: Final = Gate(
    name="events",
    contract="Whoever hears a module's events, or finds one in the outbox, understands it as before.",
    rules={
        **SNAPSHOT_RULES,
        **EVENT_RULES,
        **ANSWER_RULES,
        **COMMON_RULES,
        **DECLARATION_RULES,
        **HEARING_RULES,
    },
    static=_static,
)
