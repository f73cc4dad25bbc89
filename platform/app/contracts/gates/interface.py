"""The gate `interface`."""

from __future__ import annotations

from typing import Final

from app.contracts.gate import Gate

gate: Final = Gate(name="interface", contract="To be built.", rules={})
