"""The gate `imports`."""

from __future__ import annotations

from typing import Final

from app.contracts.gate import Gate

gate: Final = Gate(name="imports", contract="To be built.", rules={})
