"""The gate `data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.data.statements import check_statements


def _static(bench: Bench) -> Iterator[Finding]:
    yield from check_statements(bench)


gate: Final = Gate(name="data", contract="To be built.", rules={}, static=_static)
