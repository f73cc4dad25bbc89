"""The gate `http`."""

from __future__ import annotations

from typing import Final

from app.contracts.gate import Gate

gate: Final = Gate(name="http", contract="To be built.", rules={})
