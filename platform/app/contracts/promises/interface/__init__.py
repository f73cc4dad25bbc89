"""What modules promise by their `interface.py`, kept in `contracts/interface.json`; events are a promise of their own."""

from __future__ import annotations

from typing import Final

from app.contracts.promises.interface.comparing import CHANGES, compare
from app.contracts.promises.interface.describing import describe
from app.contracts.promises.promise import Promise

__all__ = ["CHANGES", "promise"]

promise: Final = Promise(kind="interface", describe=describe, compare=compare)
