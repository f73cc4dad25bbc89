"""Every gate, every rule: the violation is planted in a copy of the project, and the real command names it, place and fix."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from tests.planting import Planting, Said, assert_caught

from app.contracts.gates import GATES


def plantings_of(gate: str) -> Sequence[Planting]:
    found: Sequence[Planting] = importlib.import_module(f"tests.contracts.planted_{gate}").PLANTINGS  # noqa: TID251
    return found


ALL: Final = [planting for gate in GATES for planting in plantings_of(gate)]


@pytest.mark.parametrize("planting", ALL, ids=[f"{planting.gate}-{planting.claim}" for planting in ALL])
def test_the_command_names_it(planting: Planting, planted: Callable[[Planting, Sequence[Planting]], Said]) -> None:
    assert_caught(planted(planting, ALL), planting)


@pytest.mark.parametrize("gate", GATES)
def test_every_rule_of_the_gate_is_planted(gate: str) -> None:
    rules = {f"{gate}/{name}" for name in importlib.import_module(GATES[gate]).gate.rules}  # noqa: TID251

    assert rules == {planting.rule for planting in plantings_of(gate)}


def test_claims_are_distinct() -> None:
    claims = [(planting.gate, planting.claim) for planting in ALL]
    assert len(set(claims)) == len(claims)
