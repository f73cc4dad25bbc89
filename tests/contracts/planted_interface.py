"""Violations of the gate `interface`. Most are appended to an interface, under names that nothing else has."""

from __future__ import annotations

from typing import Final

from tests.contracts.planted_interface_changes import CHANGES
from tests.contracts.planted_interface_types import TYPES, appended, door
from tests.planting import Append, Planting, Replace

CATALOG: Final = "modules/catalog/interface.py"
ORDERING: Final = "modules/ordering/interface.py"
USERS: Final = "modules/users/interface.py"
CONTRACT: Final = "tests/catalog/test_contract.py"


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

PLANTINGS: Final[list[Planting]] = [*DOORS, *SIGNATURES, *TYPES, *ERRORS, *BEHIND, *CHANGES]
