"""Violations of the gate `interface`. Most are appended to an interface, under names that nothing else has."""

from __future__ import annotations

from typing import Final

from tests.contracts.planted_interface_changes import CHANGES
from tests.planting import Append, Edit, Planting, Replace

CATALOG: Final = "modules/catalog/interface.py"
ORDERING: Final = "modules/ordering/interface.py"
USERS: Final = "modules/users/interface.py"
CONTRACT: Final = "tests/catalog/test_contract.py"


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


DOORS: Final = [
    Planting(
        claim="what is offered is a class, no Protocol",
        rule="interface/door",
        edits=[
            Replace(
                file="modules/ordering/module.py",
                old='    needs=("catalog",),',
                new='    needs=("catalog",),\n    offers=DatabaseOrderingService,',
            )
        ],
        where="modules/ordering/module.py:",
        says="DatabaseOrderingService is offered, and is no Protocol",
        fix=ORDERING,
    ),
    Planting(
        claim="what is offered cannot be checked at start",
        rule="interface/door",
        edits=[Replace(file=USERS, old="@runtime_checkable\nclass UsersService", new="class UsersService")],
        where="modules/users/module.py:",
        says="UsersService is offered, and cannot be checked",
        fix="@runtime_checkable",
    ),
    appended(
        "a Protocol is named after its kind",
        "door-name",
        ORDERING,
        door("OrderingManager", "count(self) -> int"),
        says="OrderingManager is named after its kind",
        fix="by its role",
    ),
    appended(
        "a Protocol is offered to nobody",
        "unoffered",
        ORDERING,
        door("OrderingReports", "count(self) -> int"),
        says="OrderingReports is offered to nobody",
        fix="`offers` of modules/ordering/module.py",
    ),
    Planting(
        claim="a door that is not offered is imported in a function under another name",
        rule="interface/door-not-offered",
        edits=[
            Append(file=USERS, text=door("UsersReports", "count(self) -> int")),
            Append(
                file="modules/ordering/service/shipping.py",
                text="def reports() -> object:\n    from users.interface import UsersReports as Counting\n    return Counting",
            ),
        ],
        where="modules/ordering/service/shipping.py:",
        says="ordering uses UsersReports of users, which is not offered to it",
        fix="Use UsersService, or ask the Users team",
    ),
    Planting(
        claim="a door that is not offered is reached through the interface as a whole",
        rule="interface/door-not-offered",
        edits=[
            Append(file=CATALOG, text=door("CatalogCounts", "count(self) -> int")),
            Append(
                file="tests/ordering/conftest.py", text="import catalog.interface as shelf\n\nCounting = shelf.CatalogCounts\n"
            ),
        ],
        where="tests/ordering/conftest.py:",
        says="ordering uses CatalogCounts of catalog",
        fix="(`offers` in modules/catalog/module.py)",
    ),
    Planting(
        claim="a container asks for a neighbour without saying as what",
        rule="interface/door-not-offered",
        edits=[
            Replace(
                file="modules/ordering/container.py",
                old="catalog = providers.Dependency(instance_of=CatalogService)",
                new="catalog = providers.Dependency()",
            )
        ],
        where="modules/ordering/container.py:",
        says="asks for catalog as no Protocol in particular",
        fix="the Catalog team",
    ),
]

SIGNATURES: Final = [
    appended(
        "a parameter can be given by position",
        "positional-parameter",
        USERS,
        door("Positional", "find(self, email: str) -> int"),
        says="Positional.find takes `email` also by position",
        fix="behind `self, *,`",
    ),
    appended(
        "any number of parameters",
        "positional-parameter",
        USERS,
        door("Many", "find(self, *emails: str) -> int"),
        says="Many.find takes `emails` in any number",
        fix="by name",
    ),
    appended(
        "parameters of any name",
        "positional-parameter",
        USERS,
        door("Named", "find(self, **emails: str) -> int"),
        says="Named.find takes `emails` under any name",
        fix="by name",
    ),
    appended(
        "a parameter without a type",
        "untyped",
        USERS,
        door("Untyped", "find(self, *, email) -> int"),
        says="Untyped.find takes `email`, which has no type",
        fix="Give `email` a type",
    ),
    appended(
        "a method that does not say what it answers",
        "untyped",
        USERS,
        door("Mute", "find(self, *, email: str)"),
        says="Mute.find does not say what it answers",
        fix="`-> None` too",
    ),
    appended(
        "a method without a docstring",
        "undocumented",
        USERS,
        door("Silent", "find(self, *, email: str) -> int", says=""),
        says="Silent.find has no docstring",
        fix="result, absence, errors",
    ),
    appended(
        "a DTO whose only docstring is the one that dataclass makes up",
        "undocumented",
        USERS,
        "\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass Wordless:\n    id: int\n",
        says="Wordless has no docstring",
        fix="in a docstring",
    ),
]

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
]

ERRORS: Final = [
    appended(
        "an error of Python",
        "error-identity",
        USERS,
        '\n\nclass UserOdd(ValueError):\n    """Odd."""\n',
        says="UserOdd is no DomainError",
        fix="NotFound, Conflict",
    ),
    appended(
        "an error without a kind",
        "error-identity",
        USERS,
        "from kernel.pure.errors import DomainError\n"
        '\n\nclass UserVague(DomainError):\n    """Vague."""\n\n    code = "user-vague"\n    title = "Vague"\n',
        says="UserVague is of no kind",
        fix="NotFound, Conflict",
    ),
    appended(
        "an error with the code of its kind",
        "error-identity",
        USERS,
        '\n\nclass UserNameless(NotFound):\n    """Nameless."""\n\n    title = "Nameless"\n',
        says="UserNameless has no code of its own",
        fix="code =",
    ),
    appended(
        "two modules give one code to their errors",
        "duplicate-error-code",
        USERS,
        '\n\nclass UserSold(NotFound):\n    """Sold."""\n\n    code = "out-of-stock"\n    title = "Sold"\n',
        says="UserSold has the code 'out-of-stock', which is also that of catalog.interface.OutOfStock",
        fix="another code",
    ),
    appended(
        "a docstring names an error that there is not",
        "unknown-error",
        USERS,
        door("Forgetful", "find(self) -> int", says="Find it. Errors: UserNotFound (unknown; see OutOfStock), UserVanished."),
        says="Forgetful.find names the error UserVanished, which",
        fix="Name the error that is raised",
    ),
    appended(
        "a docstring refers to a method that there is not",
        "unknown-error",
        USERS,
        door("Referring", "find(self) -> int", says="Find it. Errors: those of `UsersService.look`."),
        says="Referring.find names the errors of UsersService.look",
        fix="Name the error that is raised",
    ),
    Planting(
        claim="a private error leaves by a helper that imports it in its body",
        rule="interface/undeclared-error",
        edits=[
            Replace(
                file="modules/catalog/service/reservations.py",
                old="    if shortages:\n        raise OutOfStock(shortages)",
                new="    if shortages:\n        import catalog.service.products as products\n\n"
                "        raise products.SkuTaken('No.')",
            )
        ],
        where="modules/catalog/service/reservations.py:",
        says="CatalogService.reserve can raise SkuTaken of catalog.service.products",
        fix="Move SkuTaken to modules/catalog/interface.py",
    ),
    Planting(
        claim="an error of the interface that the docstring does not name",
        rule="interface/undocumented-error",
        edits=[
            Replace(
                file="modules/catalog/fakes.py",
                old='        if found is not None and found.status == "held":\n            found.status = "released"',
                new="        if found is None:\n            raise ReservationGone('No.')\n"
                '        if found.status == "held":\n            found.status = "released"',
            )
        ],
        where="modules/catalog/fakes.py:",
        says="CatalogService.release can raise ReservationGone, and does not say so",
        fix="docstring of CatalogService.release",
    ),
]

BEHIND: Final = [
    Planting(
        claim="no class inherits the Protocol",
        rule="interface/implementation",
        edits=[
            Replace(
                file="modules/users/service/users.py",
                old="AdministrationUseCases, UsersService)",
                new="AdministrationUseCases)",
            )
        ],
        where="modules/users/service/__init__.py",
        says="No class of users.service inherits UsersService",
        fix="class DatabaseUsersService(UsersService)",
    ),
    Planting(
        claim="the implementation takes something else, in the mixin that it is made of",
        rule="interface/implementation",
        edits=[
            Replace(
                file="modules/catalog/service/reservations.py",
                old="def confirm(self, *, reference: str) -> None:",
                new="def confirm(self, *, reference: str | None = None) -> None:",
            )
        ],
        where="modules/catalog/service/reservations.py:",
        says="DatabaseCatalogService.confirm takes `reference` with another default (it has None, the Protocol has none)",
        fix="the signature of CatalogService.confirm",
    ),
    Planting(
        claim="a Protocol that stands before the class that does the work answers in its place",
        rule="interface/implementation",
        edits=[
            Replace(
                file="modules/catalog/service/catalog.py",
                old="    ProductUseCases, ReservationUseCases, StockUseCases, ImportUseCases, ExportUseCases, CatalogService\n",
                new="    CatalogService, ProductUseCases, ReservationUseCases, StockUseCases, ImportUseCases, ExportUseCases\n",
            )
        ],
        where="modules/catalog/service/catalog.py:",
        says="DatabaseCatalogService.reserve is not there: calls end in the Protocol's own `...`",
        fix="Put CatalogService last",
        alone=True,
    ),
    Planting(
        claim="the fake takes something else",
        rule="interface/fake",
        edits=[
            Replace(
                file="modules/catalog/fakes.py",
                old="def release(self, *, reference: str) -> None:",
                new="def release(self, *, reference: str | None) -> None:",
            )
        ],
        where="modules/catalog/fakes.py:",
        says="FakeCatalogService.release takes `reference` as str | None, promised",
        fix="the signature of CatalogService.release",
    ),
    Planting(
        claim="the fake is not called one",
        rule="interface/fake",
        edits=[Replace(file="modules/users/fakes.py", old="class FakeUsersService(", new="class UsersServiceStub(")],
        where="modules/users/fakes.py:",
        says="UsersServiceStub stands for UsersService, and its name does not say so",
        fix="Call it FakeUsersService",
    ),
    Planting(
        claim="the contract test passes by the real service",
        rule="interface/contract-test",
        edits=[
            Replace(
                file=CONTRACT,
                old="@pytest.fixture(params=[real, fake])",
                new="@pytest.fixture(params=[fake, pytest.param(real, marks=pytest.mark.skip)])",
            )
        ],
        where=f"{CONTRACT}:",
        says="The contract test of CatalogService does not run against DatabaseCatalogService",
        fix="params=[real, fake]",
    ),
    Planting(
        claim="the contract test leaves a method out",
        rule="interface/contract-test",
        edits=[
            Replace(
                file=USERS,
                old='    """What users does for other modules. Every method joins the caller\'s running transaction."""\n',
                new='    """What users does for other modules."""\n\n    def count(self, *, role: str) -> int:\n'
                '        """How many have the role."""\n        ...\n',
            )
        ],
        where="tests/users/test_interface.py:",
        says="The contract test of UsersService never calls count",
        fix="calls `count`",
    ),
]

PLANTINGS: Final[list[Planting]] = [*DOORS, *SIGNATURES, *FOREIGN, *VALUES, *ERRORS, *BEHIND, *CHANGES]
