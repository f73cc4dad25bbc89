"""The gate `wiring`."""

from __future__ import annotations

from typing import Final

from app.contracts.gate import Gate

gate: Final = Gate(name="wiring", contract="To be built.", rules={})
