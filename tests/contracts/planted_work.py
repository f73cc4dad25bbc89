"""Violations of the gate `work`."""

from __future__ import annotations

from typing import Final

from tests.planting import Planting

PLANTINGS: Final[list[Planting]] = []
