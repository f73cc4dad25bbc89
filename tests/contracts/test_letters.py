"""Letters: samples of events as the outbox writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import jsonschema_rs
import pytest

from app.contracts.gate import Bench
from app.contracts.promises.announced import compare, describe, events_of, schema_of, unreadable
from app.contracts.promises.letters import aggregate_of, letters_of
from app.contracts.promises.promise import dump
from app.contracts.run import ROOT
from kernel.pure.events import Event

BENCH = Bench(root=ROOT)


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Part:
    amount: Decimal
    note: str | None


@dataclass(frozen=True, kw_only=True)
class ThingHappened(Event):
    name: ClassVar[str] = "things.ThingHappened"
    thing_id: int
    shelf: str
    mood: Mood
    parts: tuple[Part, ...]
    at: datetime
    key: UUID
    sure: bool = True

    @property
    def aggregate(self) -> str:
        return f"thing:{self.thing_id}:{self.shelf}"


def described(kind: type[Event]) -> dict[str, Any]:
    return schema_of(kind)


def test_every_form_of_every_field_is_in_a_letter() -> None:
    letters = letters_of(ThingHappened, described(ThingHappened))

    assert {letter["mood"] for letter in letters} == {"good", "bad"}
    assert {letter["sure"] for letter in letters} == {True, False}
    assert any(letter["parts"] == [] for letter in letters)
    assert {part["note"] for letter in letters for part in letter["parts"]} == {"text", None}
    assert letters[0]["parts"][0]["amount"] == "12.34"


def test_the_outbox_writes_every_field_so_each_is_promised() -> None:
    assert "sure" in described(ThingHappened)["required"]


def test_letters_fit_the_schema_that_is_promised() -> None:
    for module in ("users", "catalog", "ordering"):
        document = describe(BENCH, module)
        assert document is not None
        for event in document["events"].values():
            validator = jsonschema_rs.validator_for(event["schema"])
            assert event["letters"]
            assert all(validator.is_valid(letter) for letter in event["letters"])


def test_the_aggregate_is_told_by_its_form() -> None:
    letters = letters_of(ThingHappened, described(ThingHappened))

    assert aggregate_of(ThingHappened, letters[0]) == "thing:{thing_id}:{shelf}"


def test_the_same_code_makes_the_same_snapshot() -> None:
    first, second = (dump(describe(BENCH, "ordering") or {}) for _ in range(2))

    assert first == second


def test_what_the_code_promises_can_be_read_by_it() -> None:
    for module in ("users", "catalog", "ordering"):
        document = describe(BENCH, module)
        assert document is not None
        assert list(unreadable(BENCH, module, document)) == []
        assert list(compare(document, document)) == []


def test_an_amount_is_not_any_text() -> None:
    schema = described(ThingHappened)["$defs"]["Part"]["properties"]["amount"]

    assert schema == {"type": "string", "format": "decimal"}


def test_the_events_of_a_module_are_those_of_its_interface() -> None:
    assert set(events_of("users")) == {"users.UserClosed"}
    assert "ordering.OrderPaid" in events_of("ordering")


@pytest.mark.parametrize("module", ["users", "catalog", "ordering"])
def test_a_module_without_events_and_snapshot_has_nothing_to_keep(module: str, tmp_path: Path) -> None:
    (tmp_path / "modules" / module).mkdir(parents=True)

    assert describe(Bench(root=tmp_path), module) is None
