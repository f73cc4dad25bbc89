"""Declarations of events, read from files: what is seen through aliases, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.contracts.gate import Bench
from app.contracts.gates.events.declarations import check_declarations
from app.contracts.gates.events.names import Names, events_in

EVENTS = "class Event:\n    pass\n"
INTERFACE = """
from dataclasses import dataclass
from typing import ClassVar
from kernel.pure.events import Event

@dataclass(frozen=True, kw_only=True)
class _Base(Event):
    order_id: int

@dataclass(frozen=True, kw_only=True)
class OrderPaid(_Base):
    name: ClassVar[str] = "ordering.OrderPaid"
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    files = {
        "platform/kernel/pure/events.py": EVENTS,
        "modules/ordering/__init__.py": "",
        "modules/ordering/interface.py": INTERFACE,
        "modules/catalog/__init__.py": "",
        "modules/catalog/interface.py": "",
    }
    for name, text in files.items():
        put(tmp_path, name, text)
    return tmp_path


def put(house: Path, file: str, text: str) -> None:
    path = house / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rules(house: Path) -> list[str]:
    return [finding.rule.removeprefix("events/") for finding in check_declarations(Bench(root=house))]


@pytest.mark.parametrize(
    "text",
    [
        "from kernel.pure.events import Event as Fact\n\nclass Hidden(Fact): ...",
        "import kernel.pure.events\n\nclass Hidden(kernel.pure.events.Event): ...",
        "import kernel.pure.events as e\n\ndef f():\n    class Hidden(e.Event): ...",
        "def f():\n    from kernel.pure import events\n    class Hidden(events.Event): ...",
        "from ordering.interface import OrderPaid\n\nclass Hidden(OrderPaid): ...",
        "from ordering import interface\n\nBase = interface.OrderPaid\n\nclass Hidden(Base): ...",
        "from .again import Passed\n\nclass Hidden(Passed): ...",
        "from catalog.again import Passed as P\n\nclass Between(P): ...\n\nclass Hidden(Between): ...",
    ],
)
def test_an_event_outside_of_an_interface_is_found_by_whatever_name_its_base_goes(house: Path, text: str) -> None:
    put(house, "modules/catalog/again.py", "from kernel.pure.events import Event as Passed")
    put(house, "modules/catalog/service.py", text)

    assert set(rules(house)) == {"event-elsewhere"}


@pytest.mark.parametrize(
    "text",
    [
        "from kernel.pure.events import Event\n\ndef handle(event: Event) -> None: ...",
        "class Event: ...\n\nclass Mine(Event): ...",
        "from ordering.interface import OrderPaid\n\nHEARD = [OrderPaid]\n\ndef handle(event: OrderPaid): return event.x",
    ],
)
def test_hearing_an_event_and_classes_that_are_none_are_allowed(house: Path, text: str) -> None:
    put(house, "modules/catalog/listeners.py", text)

    assert rules(house) == []


def test_a_module_makes_its_own_events(house: Path) -> None:
    put(house, "modules/ordering/service.py", "from ordering.interface import OrderPaid\n\nOrderPaid(order_id=1)")

    assert rules(house) == []


@pytest.mark.parametrize(
    "text",
    [
        "from ordering.interface import OrderPaid\n\nOrderPaid(order_id=1)",
        "import ordering.interface as o\n\ndef f(): return o.OrderPaid(order_id=1)",
        "def f():\n    from ordering import interface\n    return [interface.OrderPaid(order_id=i) for i in range(3)]",
    ],
)
def test_a_neighbours_event_is_the_neighbours_to_make(house: Path, text: str) -> None:
    put(house, "modules/catalog/service.py", text)

    assert rules(house) == ["foreign-event"]


@pytest.mark.parametrize("decorator", ["", "@dataclass", "@dataclass(kw_only=True)", "@dataclass(frozen=False)"])
def test_an_event_that_can_change_is_no_fact(house: Path, decorator: str) -> None:
    text = f'{INTERFACE}\n{decorator}\nclass OrderSent(_Base):\n    name: ClassVar[str] = "ordering.OrderSent"\n'
    put(house, "modules/ordering/interface.py", text)

    assert rules(house) == ["not-frozen"]


@pytest.mark.parametrize("name", ['name = "ordering.Sent"', 'name = f"ordering.{1}"', "", 'name = "catalog.OrderSent"'])
def test_an_event_is_named_after_its_module_and_class(house: Path, name: str) -> None:
    text = f"{INTERFACE}\n@dataclass(frozen=True)\nclass OrderSent(_Base):\n    {name}\n    x: int = 1\n"
    put(house, "modules/ordering/interface.py", text)

    assert rules(house) == ["event-name"]


def test_an_interface_may_be_a_folder(house: Path) -> None:
    (house / "modules/ordering/interface.py").unlink()
    put(house, "modules/ordering/interface/__init__.py", "from ordering.interface.events import OrderPaid as OrderPaid")
    put(house, "modules/ordering/interface/events.py", INTERFACE)

    assert rules(house) == []
    sources = Bench(root=house).sources
    assert "ordering.interface.events.OrderPaid" in events_in(sources, Names(sources))
