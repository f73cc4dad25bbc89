"""The gate `data`."""

from __future__ import annotations

from typing import Final

from app.contracts.gate import Gate

gate: Final = Gate(name="data", contract="To be built.", rules={})
