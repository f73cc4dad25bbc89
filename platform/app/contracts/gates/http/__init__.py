"""The gate `http`: each module's operations are what its snapshot says, and clients that kept to the old one are served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.http.requests import REQUEST_FILE_RULES, check_requests
from app.contracts.promises.access import ACCESS_RULES
from app.contracts.promises.operations import OPERATION_RULES, compare
from app.contracts.promises.promise import SNAPSHOT_RULES, Promise
from app.contracts.promises.schemas import ANSWER_RULES, COMMON_RULES, REQUEST_RULES
from app.contracts.promises.served import describe

promise: Final = Promise(kind="http", describe=describe, compare=compare)


def _static(bench: Bench) -> Iterator[Finding]:
    yield from promise.check(bench)
    yield from check_requests(bench, promise)


def _live(bench: Bench) -> Iterator[Finding]:
    from app.contracts.gates.http.replay import replay  # takes a second, and a tool that `accept` does without

    yield from replay(bench, promise)


gate: Final = Gate(
    name="http",
    contract="A client that keeps to a module's last OpenAPI document goes on being served.",
    rules={
        **SNAPSHOT_RULES,
        **OPERATION_RULES,
        **ACCESS_RULES,
        **REQUEST_RULES,
        **ANSWER_RULES,
        **COMMON_RULES,
        **REQUEST_FILE_RULES,
        "replay": "A request that the kept document allows is answered as the kept document says.",
    },
    static=_static,
    live=_live,
)
