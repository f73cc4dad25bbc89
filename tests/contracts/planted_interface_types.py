"""Violations of the gate `interface`: what crosses a door, and how its values are made."""

from __future__ import annotations

from typing import Final

from tests.planting import Append, Edit, Planting

ORDERING: Final = "modules/ordering/interface.py"
USERS: Final = "modules/users/interface.py"


def door(name: str, method: str, *, before: str = "", says: str = "Count.") -> str:
    """A documented Protocol with one documented method."""
    return (
        f"{before}\n\n\n@runtime_checkable\nclass {name}(Protocol):\n"
        f'    """A door."""\n\n    def {method}:\n        """{says}"""\n        ...\n'
    )


def appended(claim: str, rule: str, file: str, text: str, *, says: str, fix: str, more: tuple[Edit, ...] = ()) -> Planting:
    lines = Append(file=file, text=f"from typing import Protocol, runtime_checkable\n{text}")
    return Planting(claim=claim, rule=f"interface/{rule}", edits=[lines, *more], where=f"{file}:", says=says, fix=fix)


def foreign(claim: str, name: str, method: str, *, says: str, fix: str, before: str = "", file: str = USERS) -> Planting:
    return appended(claim, "foreign-type", file, door(name, method, before=before), says=f"{name}.{says}", fix=fix)


def value(
    name: str, fields: str, *, decorated: str = "@dataclass(frozen=True, slots=True, kw_only=True)", base: str = ""
) -> str:
    return f'\n\n{decorated}\nclass {name}{base}:\n    """A value."""\n\n    {fields}\n'


FOREIGN: Final = [
    foreign(
        "a session crosses",
        "WithSession",
        "find(self, *, session: Session) -> int",
        before="from sqlalchemy.orm import Session\n",
        says="find takes `session`: Session of SQLAlchemy",
        fix="joins the running transaction",
    ),
    foreign(
        "a model crosses in a container, imported under another name",
        "WithModel",
        "find(self) -> Sequence[Person]",
        before="from collections.abc import Sequence\nfrom users.models import Account as Person\n",
        says="find answers: the SQLAlchemy model Account",
        fix="row → DTO",
    ),
    foreign(
        "rows cross",
        "WithRow",
        "find(self) -> sa.Row[tuple[int]] | None",
        before="import sqlalchemy as sa\n",
        says="find answers: Row, rows of SQLAlchemy",
        fix="row → DTO",
    ),
    foreign(
        "an HTTP schema crosses",
        "WithSchema",
        "open(self, *, body: RegisterBody) -> int",
        before="from users.schemas import RegisterBody\n",
        says="open takes `body`: the HTTP schema RegisterBody",
        fix="schemas.py",
    ),
    foreign(
        "a request crosses",
        "WithRequest",
        "open(self, *, request: Request) -> int",
        before="from starlette.requests import Request\n",
        says="open takes `request`: Request of HTTP",
        fix="router",
    ),
    foreign(
        "Any crosses within a mapping",
        "WithAny",
        "find(self) -> Mapping[str, Any]",
        before="from collections.abc import Mapping\nfrom typing import Any\n",
        says="find answers: Any, which says nothing",
        fix="frozen DTO",
    ),
    foreign("object crosses", "WithObject", "find(self, *, it: object) -> int", says="find takes `it`: object", fix="Say what"),
    foreign("a list crosses", "WithList", "find(self) -> list[int]", says="find answers: a list", fix="Sequence"),
    foreign("a dictionary crosses", "WithDict", "find(self) -> dict[str, int]", says="find answers: a dict", fix="Mapping"),
    foreign(
        "a sequence of anything crosses",
        "WithBare",
        "find(self) -> Sequence",
        before="from collections.abc import Sequence\n",
        says="find answers: a Sequence of anything",
        fix="Say of what",
    ),
    foreign("a float crosses", "WithFloat", "find(self) -> float", says="find answers: a float", fix="Decimal"),
    foreign(
        "code crosses",
        "WithCallback",
        "find(self, *, then: Callable[[int], None]) -> int",
        before="from collections.abc import Callable\n",
        says="find takes `then`: code",
        fix="event",
    ),
    foreign(
        "a type variable crosses",
        "WithVariable",
        "find(self, *, it: T) -> T",
        before='from typing import TypeVar\n\nT = TypeVar("T")\n',
        says="find takes `it`: the type variable T",
        fix="a method for each",
    ),
    appended(
        "a coroutine crosses",
        "foreign-type",
        USERS,
        door("WithCoroutine", "find(self) -> int").replace("def find", "async def find"),
        says="WithCoroutine.find is async",
        fix="plain `def`",
    ),
    foreign(
        "a service crosses",
        "WithService",
        "find(self, *, clock: Clock) -> int",
        before="from kernel.pure.clock import Clock\n",
        says="find takes `clock`: the Protocol Clock",
        fix="container.py",
    ),
    foreign(
        "a part of the kernel that is no value crosses",
        "WithDatabase",
        "find(self, *, database: Database) -> int",
        before="from kernel.database.unit_of_work import Database\n",
        says="find takes `database`: Database of kernel.database.unit_of_work",
        fix="container.py",
    ),
    foreign(
        "a neighbour's DTO crosses",
        "WithNeighbour",
        "find(self) -> StockLine",
        before="from catalog.interface import StockLine\n",
        says="find answers: StockLine of catalog",
        fix="need not know catalog",
    ),
    foreign(
        "a private class of the module crosses",
        "WithPrivate",
        "find(self) -> TokenLifetimes",
        before="from users.settings import TokenLifetimes\n",
        says="find answers: TokenLifetimes, which is private",
        fix="Copy what is needed",
    ),
    foreign(
        "a type that only the type checker sees crosses",
        "WithNothing",
        "find(self) -> Hidden",
        before="from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from users.models import Account as Hidden\n",
        says="find answers: Hidden, a name that nothing has",
        fix="not under TYPE_CHECKING only",
    ),
    appended(
        "a field of a DTO holds what may not cross",
        "foreign-type",
        ORDERING,
        f"from typing import Any\n{value('Loose', 'parts: tuple[Any, ...]')}",
        says="Loose.parts is: Any",
        fix="frozen DTO",
    ),
    appended(
        "a field of an event holds what may not cross",
        "foreign-type",
        ORDERING,
        value("OrderLoosened", "parts: list[int]", decorated="@dataclass(frozen=True, kw_only=True)", base="(_OrderEvent)"),
        says="OrderLoosened.parts is: a list",
        fix="Sequence",
    ),
    appended(
        "an error is made from what may not cross",
        "foreign-type",
        ORDERING,
        '\n\nclass OrderLost(Conflict):\n    """An order is lost."""\n\n    code = "order-lost"\n    title = "Lost"\n\n'
        '    def __init__(self, parts: dict[str, int]) -> None:\n        super().__init__("Lost.")\n'
        "        self.parts = parts\n",
        says="OrderLost is made from `parts`: a dict",
        fix="Mapping",
    ),
]

VALUES: Final = [
    appended(
        "a DTO that can be changed",
        "mutable-dto",
        USERS,
        value("Changeable", "id: int", decorated="@dataclass(slots=True, kw_only=True)"),
        says="Changeable is not frozen",
        fix="frozen=True",
    ),
    appended(
        "a DTO that can be made by position",
        "mutable-dto",
        USERS,
        value("Ordered", "id: int", decorated="@dataclass(frozen=True, slots=True)"),
        says="Ordered can be made by position",
        fix="kw_only=True",
    ),
    appended(
        "a DTO that takes any attribute",
        "mutable-dto",
        USERS,
        value("Slotless", "id: int", decorated="@dataclass(frozen=True, kw_only=True)"),
        says="Slotless has no slots",
        fix="slots=True",
    ),
    appended(
        "a DTO that is a named tuple",
        "mutable-dto",
        USERS,
        f"from typing import NamedTuple\n{value('Tupled', 'id: int', decorated='', base='(NamedTuple)')}",
        says="Tupled is no frozen dataclass",
        fix="@dataclass",
    ),
    appended(
        "a constant that can be changed",
        "mutable-constant",
        USERS,
        "KNOWN: dict[int, str] = {}",
        says="KNOWN can be changed by whoever imports it: it is a dict",
        fix="MappingProxyType",
    ),
    appended(
        "a constant that holds what can be changed",
        "mutable-constant",
        USERS,
        "HELD: tuple[list[int], ...] = ([],)",
        says="HELD can be changed by whoever imports it: it is a tuple",
        fix="MappingProxyType",
    ),
    appended(
        "a function beside the doors",
        "loose-function",
        USERS,
        "def full_name_of(user_id: int) -> str:\n    return str(user_id)",
        says="full_name_of is a function of its own",
        fix="Make it a method of a Protocol",
    ),
]

TYPES: Final[list[Planting]] = [*FOREIGN, *VALUES]
