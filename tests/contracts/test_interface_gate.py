"""What the gate `interface` lets pass, and how it follows names: over small modules that are made for each test."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.interface.contract_tests import contract_tests
from app.contracts.gates.interface.doors import uses
from app.contracts.gates.interface.errors import Errors, said
from app.contracts.gates.interface.implementations import FAKE, REAL, Implementations
from app.contracts.gates.interface.shapes import Shapes
from app.contracts.promises.interface.describing import describe
from app.contracts.surface import Sources, Surface, read_surface
from kernel.module import Module, Offer

HEAD = '''"""An interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, NewType, Protocol, runtime_checkable
from uuid import UUID

from kernel.pure.errors import Conflict, NotFound
from kernel.pure.events import Event
from kernel.pure.principal import Principal
from kernel.pure.values import Page, Versioned

LampId = NewType("LampId", int)
MOST: Final = 5


class Colour(StrEnum):
    """Which colour."""

    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """A lamp."""

    id: LampId
    price: Decimal | None = None
    parts: tuple[Lamp, ...] = ()

    @property
    def is_cheap(self) -> bool:
        return self.price is None


class LampGone(NotFound):
    """It is gone."""

    code = "lamp-gone"
    title = "Gone"

    def __init__(self, lamps: Sequence[Lamp], **data: object) -> None:
        super().__init__("Gone.", **data)
        self.lamps = tuple(lamps)


class LampTaken(Conflict):
    """Somebody has it."""

    code = "lamp-taken"
    title = "Taken"
'''
DOOR = '''

@runtime_checkable
class ShelfService(Protocol):
    """A shelf."""

    def find(self, *, lamp_id: int, colour: Colour = Colour.RED) -> Lamp:
        """One lamp. Errors: LampGone."""
        ...
'''
SERVICE = "from collections.abc import Sequence\nfrom {0}.interface import *\nfrom kernel.pure.errors import NotFound\n"
FIND = "def find(self, *, lamp_id: int, colour: Colour = Colour.RED) -> Lamp:"


class House:
    """One module in a folder of its own. Its name is a new one each time: Python keeps what it has imported."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.folder = root / "modules" / name
        self.folder.mkdir(parents=True)
        (root / "tests" / name).mkdir(parents=True)
        self.write("__init__", "")
        self.bench = Bench(root=root)
        self.sources = Sources(self.bench)

    def write(self, file: str, text: str) -> None:
        (self.folder / f"{file}.py").write_text(text.replace("{0}", self.name))

    def surface(self, door: str = DOOR) -> Surface:
        self.write("interface", HEAD + door)
        importlib.invalidate_caches()
        return read_surface(self.name)

    def module(self, *, offers: Any = None) -> Module:
        return Module(name=self.name, owner="Tests", summary="", container=Any, metadata=Any, offers=offers)  # type: ignore[arg-type]  # not looked at

    def shapes(self, door: str) -> list[str]:
        return [f"{found.rule} {found.what}" for found in Shapes(self.surface(door), self.sources).check()]

    def behind(self, service: str, *, fake: str = "", door: str = DOOR) -> list[Finding]:
        """What is found of the implementation; the fake, when there is none, is not looked at."""
        surface = self.surface(door)
        self.write("service", SERVICE + service)
        implementations = Implementations(surface, self.module(offers=surface.interface.ShelfService), self.sources)
        real, fakes = implementations.found(REAL), {}
        found = list(implementations.check(REAL))
        if fake:
            self.write("fakes", SERVICE + fake)
            found += implementations.check(FAKE)
            fakes = implementations.found(FAKE)
        return [*found, *Errors(surface, {self.name: surface}, self.sources).raised(real, fakes)]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[House]:
    made = House(tmp_path, f"shelf_{abs(hash(request.node.nodeid))}")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == made.name]:
        del sys.modules[name]


def door(method: str, *, name: str = "ShelfService", says: str = "It does.") -> str:
    return (
        f'\n\n@runtime_checkable\nclass {name}(Protocol):\n    """A shelf."""\n\n'
        f'    def {method}:\n        """{says}"""\n        ...\n'
    )


class TestCrossing:
    @pytest.mark.parametrize(
        "method",
        [
            "find(self) -> None",
            "find(self, *, a: int | None, b: str = '', c: bool, d: bytes) -> Decimal",
            "find(self, *, a: datetime, b: date, c: timedelta, d: UUID) -> Literal['a', Colour.RED]",
            "find(self, *, a: Sequence[tuple[int, Mapping[str, frozenset[Colour]]]]) -> Iterator[Lamp]",
            "find(self, *, a: LampId, b: Annotated[int, {'unhashable': 1}], c: tuple[()]) -> Lamp | None",
            "find(self, *, caller: Principal) -> Versioned[Lamp]",
            "find(self, *, event: Event, error: LampGone) -> Page[Lamp]",
            "_private(self, anything)",
        ],
    )
    def test_values_cross(self, house: House, method: str) -> None:
        assert house.shapes(door(method)) == []

    @pytest.mark.parametrize(
        ("method", "what"),
        [
            ("find(self) -> Sequence[list[int]]", "answers: a list, which whoever holds it can change"),
            ("find(self) -> Mapping[str, Page[dict[str, int]]]", "answers: a dict, which whoever holds it can change"),
            ("find(self) -> Page", "answers: a Page of anything"),
            ("find(self, *, a: ShelfService) -> None", "takes `a`: the Protocol ShelfService: something to call, no value"),
            ("find(self) -> type[Lamp]", "answers: code (type)"),
            ("find(self) -> Annotated[float, 'metres']", "answers: a float, which is not exact"),
            ("find(self) -> nothing.there", "answers: nothing, a name that nothing has"),
            ("find(self) -> Lamp[int]", "answers: no type"),
        ],
    )
    def test_others_do_not_wherever_they_hide(self, house: House, method: str, what: str) -> None:
        [found] = house.shapes(door(method))

        assert what in found

    def test_the_kernel_gives_values_not_tools(self, house: House) -> None:
        tools = "from kernel.pure.listeners import DatabaseListener\nfrom kernel.pure.clock import SystemClock\n"
        found = house.shapes(tools + door("find(self, *, a: SystemClock) -> DatabaseListener[Event]"))

        assert sorted(each.partition(": ")[2] for each in found) == [
            "DatabaseListener of the kernel, which is more than a value.",
            "SystemClock of the kernel, which is more than a value.",
        ]

    def test_an_interface_that_grew_into_a_folder_is_one_interface(self, house: House) -> None:
        (house.folder / "interface").mkdir()
        (house.folder / "interface" / "lamps.py").write_text(HEAD)
        (house.folder / "interface" / "__init__.py").write_text(
            f"from __future__ import annotations\nfrom {house.name}.interface.lamps import *\n"
            f"from {house.name}.interface.lamps import Lamp, MOST\n{DOOR}"
        )
        importlib.invalidate_caches()
        surface = read_surface(house.name)

        assert list(Shapes(surface, house.sources).check()) == []
        assert {each.__name__ for each in surface.classes} == {"Colour", "Lamp", "LampGone", "LampTaken", "ShelfService"}
        assert surface.constants["MOST"] == 5


class TestErrorLists:
    @pytest.mark.parametrize(
        ("docstring", "errors", "references"),
        [
            ("Nothing.", (), ()),
            ("Find. Errors: LampGone (unknown; see `Lamp`, Others).", ("LampGone",), ()),
            ("Errors: LampGone, Invalid. Publishes LampSold.", ("LampGone", "Invalid"), ()),
            ("Errors: LampGone (a (nested) Remark),\n    LampTaken.\n\nMore of Something.", ("LampGone", "LampTaken"), ()),
            ("Errors: those of `ShelfService.find`, and of `look`, `LampGone`.", ("LampGone",), ("ShelfService.find", "look")),
            ("Errors: LampGone, also for somebody else's SKU.", ("LampGone",), ()),
            ("Errors: None.", (), ()),
        ],
    )
    def test_they_are_read_as_people_write_them(
        self, docstring: str, errors: tuple[str, ...], references: tuple[str, ...]
    ) -> None:
        assert said(docstring) == (errors, references)


REAL_ONE = f"class DatabaseShelfService(ShelfService):\n    {FIND}\n"
PRIVATE = "class LampOdd(NotFound):\n    code = 'lamp-odd'\n"


class TestRaising:
    @pytest.mark.parametrize(
        ("claim", "service"),
        [
            ("a declared error", f"{REAL_ONE}        raise LampGone(())"),
            ("a mistake of Python's", f"{REAL_ONE}        raise RuntimeError"),
            (
                "an error that is caught here",
                f"{PRIVATE}{REAL_ONE}        try:\n            raise LampOdd('')\n        except (KeyError, NotFound):\n"
                "            raise LampGone(()) from None",
            ),
            (
                "an error that a caller catches",
                f"{PRIVATE}def look():\n    raise LampOdd('')\n{REAL_ONE}        try:\n            look()\n"
                "        except LampOdd:\n            return Lamp(id=1)",
            ),
            (
                "an error that is suppressed",
                f"from contextlib import suppress\n{PRIVATE}{REAL_ONE}        with suppress(LampOdd):\n"
                "            raise LampOdd('')",
            ),
            (
                "an error that other methods raise",
                f"{PRIVATE}{REAL_ONE}        pass\n    def other(self):\n        raise LampOdd('')",
            ),
        ],
    )
    def test_it_may_raise(self, house: House, claim: str, service: str) -> None:
        assert house.behind(service) == []

    @pytest.mark.parametrize(
        ("claim", "service"),
        [
            ("directly", f"{PRIVATE}{REAL_ONE}        raise LampOdd"),
            ("by a helper that makes it", f"{PRIVATE}def odd():\n    return LampOdd('')\n{REAL_ONE}        raise odd()"),
            (
                "by a method of a mixin",
                f"{PRIVATE}class Mixin:\n    def _look(self):\n        raise LampOdd('')\n"
                f"class DatabaseShelfService(Mixin, ShelfService):\n    {FIND}\n        self._look()",
            ),
            (
                "by the method above",
                f"{PRIVATE}class Base:\n    {FIND}\n        raise LampOdd('')\n"
                f"class DatabaseShelfService(Base, ShelfService):\n    {FIND}\n        return super().find(lamp_id=lamp_id)",
            ),
            (
                "by a function that is handed on",
                f"{PRIVATE}def look(it):\n    raise LampOdd('')\n{REAL_ONE}        return list(map(look, [1]))",
            ),
            (
                "after it was noticed",
                f"{PRIVATE}{REAL_ONE}        try:\n            raise LampOdd('')\n        except LampOdd as odd:\n"
                "            print(odd)\n            raise",
            ),
            ("and is no DomainError", f"class Odd(Exception):\n    pass\n{REAL_ONE}        raise Odd"),
        ],
    )
    def test_a_private_error_leaves(self, house: House, claim: str, service: str) -> None:
        assert [found.rule for found in house.behind(service)] == ["interface/undeclared-error"]

    def test_what_is_raised_is_said_by_itself_or_by_its_kind(self, house: House) -> None:
        general = DOOR.replace("Errors: LampGone", "Errors: LampGone, Conflict")
        assert house.behind(f"{REAL_ONE}        raise LampTaken('')", door=general) == []

    def test_what_is_raised_is_said(self, house: House) -> None:
        assert [found.rule for found in house.behind(f"{REAL_ONE}        raise LampTaken('')")] == [
            "interface/undocumented-error"
        ]


class TestImplementations:
    def test_a_mixin_may_do_the_work(self, house: House) -> None:
        mixed = f"class Finding:\n    {FIND}\n        ...\nclass DatabaseShelfService(Finding, ShelfService):\n    pass"
        assert house.behind(mixed) == []

    def test_types_are_compared_by_what_they_are_not_by_how_they_are_written(self, house: House) -> None:
        written = "def find(self, *, lamp_id: 'int', colour: 'Colour' = Colour.RED) -> 'Lamp': ..."
        assert house.behind(f"class DatabaseShelfService(ShelfService):\n    {written}") == []

    @pytest.mark.parametrize(
        ("method", "what"),
        [
            ("def other(self): ...", "is not there"),
            (
                "def find(self, *, lamp_id: int, colour: Colour) -> Lamp: ...",
                "with another default (it has none, the Protocol has <Colour",
            ),
            ("def find(self, lamp_id: int, colour: Colour = Colour.RED) -> Lamp: ...", "takes `lamp_id` in another way"),
            (
                "def find(self, *, lamp_id: str, colour: Colour = Colour.RED) -> Lamp: ...",
                "takes `lamp_id` as str, promised int",
            ),
            ("def find(self, *, lamp_id: int, colour: Colour = Colour.RED) -> None: ...", "answers None, promised Lamp"),
            ("def find(self, *, lamp_id: int, colour: Colour = Colour.RED): ...", "answers something without a type"),
            ("def find(self, *, lamp_id: int) -> Lamp: ...", "does not take `colour`"),
            (
                f"{FIND[:-10].replace('Colour.RED', 'Colour.RED, more: int = 0')}) -> Lamp: ...",
                "takes `more`, which the Protocol",
            ),
            (f"async {FIND} ...", "is async"),
        ],
    )
    def test_it_takes_and_answers_just_what_is_promised(self, house: House, method: str, what: str) -> None:
        found = house.behind(f"class DatabaseShelfService(ShelfService):\n    {method}")

        assert any(what in each.what for each in found if each.rule == "interface/implementation")

    def test_a_fake_is_held_to_the_same(self, house: House) -> None:
        fake = f"{PRIVATE}class FakeShelfService(ShelfService):\n    def find(self, *, lamp_id: int) -> Lamp: raise LampOdd"
        found = house.behind(f"{REAL_ONE}        ...", fake=fake)

        assert [each.rule for each in found] == ["interface/fake", "interface/undeclared-error"]

    def test_one_class_stands_for_several_doors(self, house: House) -> None:
        surface = house.surface(DOOR + door("count(self) -> int", name="ShelfReports"))
        house.write("service", f"{SERVICE}class DatabaseShelfService(ShelfService, ShelfReports):\n    {FIND}\n        ...\n")
        doors = (Offer(surface.interface.ShelfService), Offer(surface.interface.ShelfReports, to=("ordering",)))
        found = list(Implementations(surface, house.module(offers=doors), house.sources).check(REAL))

        assert [each.what for each in found] == [
            "DatabaseShelfService.count is not there: calls end in the Protocol's own `...` and answer None."
        ]


TEST = """
import pytest
from {0}.fakes import FakeShelfService as Fake
from tests.{0}.making import made

def fake(): return Fake()

@pytest.fixture(params=[PARAMS])
def shelf(request): return request.param()

class Shelf:
    def look(self): return self.service.find(lamp_id=1)

class TestIt:
    def test_it(self, shelf): BODY
"""
MAKING = "from {0}.service import DatabaseShelfService\n\ndef made(): return DatabaseShelfService()\n"


class TestContractTests:
    @pytest.fixture
    def verdict(self, house: House) -> Callable[..., list[str]]:
        def look(params: str = "made, fake", body: str = "shelf.find(lamp_id=1)", more: str = "") -> list[str]:
            surface = house.surface()
            folder = house.root / "tests" / house.name
            text = TEST.replace("PARAMS", params).replace("BODY", body) + more
            (folder / "test_it.py").write_text(text.replace("{0}", house.name))
            (folder / "making.py").write_text(MAKING.replace("{0}", house.name))
            found = contract_tests(house.bench, house.name, surface.interface.ShelfService, None, None)
            return [each.what.removeprefix("The contract test of ShelfService ") for each in found]

        return look

    def test_both_by_one_fixture_is_right(self, verdict: Callable[..., list[str]]) -> None:
        assert verdict() == []

    @pytest.mark.parametrize("body", ["shelf.look()", "shelf.find(**{})", "shelf.service.find(lamp_id=1, colour=None)"])
    def test_helpers_and_any_arguments_are_right(self, verdict: Callable[..., list[str]], body: str) -> None:
        assert verdict(body=body) == []

    @pytest.mark.parametrize(
        ("params", "lacks"),
        [
            ("fake", "DatabaseShelfService"),
            ("fake, fake", "DatabaseShelfService"),
            ("made", "FakeShelfService"),
            ("made, pytest.param(fake, marks=pytest.mark.xfail)", "FakeShelfService"),
        ],
    )
    def test_one_is_not_enough(self, verdict: Callable[..., list[str]], params: str, lacks: str) -> None:
        assert verdict(params) == [f"does not run against {lacks}."]

    @pytest.mark.parametrize("body", ["pass", "shelf.find()", "{}.get(shelf)", "shelf.find(1)", "shelf.found(lamp_id=1)"])
    def test_a_method_that_is_not_called_is_missed(self, verdict: Callable[..., list[str]], body: str) -> None:
        assert verdict(body=body) == ["never calls find with its arguments."]

    def test_tests_that_are_skipped_do_not_count(self, verdict: Callable[..., list[str]]) -> None:
        skipped = "@pytest.mark.skip\ndef test_more(shelf): shelf.find(lamp_id=1)"
        assert verdict(body="pass", more=skipped) == ["never calls find with its arguments."]
        assert verdict(more="pytestmark = pytest.mark.skip") == [
            "No test asks a DatabaseShelfService and a FakeShelfService the same questions."
        ]


class TestUses:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("from shelf.interface import Lamps as L", "Lamps"),
            ("def f():\n    from shelf.interface import Lamps", "Lamps"),
            ("import shelf.interface\nx: shelf.interface.Lamps", "Lamps"),
            ("import shelf.interface as door\nx = door.Lamps.find", "Lamps"),
            ("from shelf import interface as door\nx = door.Lamps", "Lamps"),
            ("from shelf.interface.lamps import Lamps", "Lamps"),
            ("from shelf.interface import *", "*"),
        ],
    )
    def test_every_way_to_a_name_is_seen(self, text: str, name: str) -> None:
        assert [(use.module, use.name) for use in uses(ast.parse(text), {"shelf": ()})] == [("shelf", name)]

    @pytest.mark.parametrize(
        "text", ["from shelf.fakes import Lamps", "from bar.interface import Lamps", "import shelf", "x = a.Lamps"]
    )
    def test_other_names_are_not(self, text: str) -> None:
        assert list(uses(ast.parse(text), {"shelf": ()})) == []


def test_a_description_opens_aliases_and_names_what_is_computed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    surface = house.surface(DOOR + door("all(self, *, by: None | Annotated[int, 1] = None) -> Page[Lamp]", name="ShelfReports"))
    doors = (Offer(surface.interface.ShelfService), Offer(surface.interface.ShelfReports, to=("b", "a")))
    described = ModuleType(f"{house.name}.module")
    monkeypatch.setitem(vars(described), "module", house.module(offers=doors))
    monkeypatch.setitem(sys.modules, described.__name__, described)

    document = describe(house.bench, house.name)

    assert document is not None
    assert document["doors"] == {"ShelfService": "everybody", "ShelfReports": ["a", "b"]}
    assert document["protocols"]["ShelfReports"]["all"] == {
        "parameters": {"by": {"type": "int | None", "optional": True}},
        "result": "kernel.pure.values.Page[Lamp]",
    }
    assert document["values"]["Lamp"] == {
        "id": {"type": "int", "optional": False},
        "price": {"type": "Decimal | None", "optional": True},
        "parts": {"type": "tuple[Lamp, ...]", "optional": True},
        "is_cheap": {"type": "bool", "computed": True},
    }
    assert document["errors"]["LampGone"]["attributes"] == {"lamps": "Sequence[Lamp]"}
    assert document["constants"] == {"MOST": 5, "LampId": "a kind of int"}
