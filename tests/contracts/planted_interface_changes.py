"""Breaking changes of interfaces, and mistakes with their snapshots: each is a change of the code that nobody accepted."""

from __future__ import annotations

from typing import Final

from tests.planting import Append, Edit, Planting, Replace, Write

CATALOG: Final = "modules/catalog/interface.py"
ORDERING: Final = "modules/ordering/interface.py"
USERS: Final = "modules/users/interface.py"


def change(claim: str, rule: str, *edits: Edit, where: str, says: str) -> Planting:
    module = where.partition(".")[0]
    fix = f"write an entry for interface/{rule} at '{where}' into modules/{module}/contracts/breaking.toml"
    return Planting(claim=claim, rule=f"interface/{rule}", edits=edits, where=where, says=says, fix=fix)


METHODS: Final = [
    change(
        "a method has another name",
        "removed-method",
        Replace(file=CATALOG, old="    def restock(self", new="    def put_back(self"),
        where="catalog.CatalogService.restock",
        says="CatalogService's method restock is gone; put_back looks like its new name",
    ),
    change(
        "a parameter has another name",
        "removed-parameter",
        Replace(file=CATALOG, old="until: datetime) -> Sequence", new="deadline: datetime) -> Sequence"),
        where="catalog.CatalogService.reserve(until)",
        says="takes no `until` any more; `deadline` looks like its new name",
    ),
    change(
        "a parameter is new and required",
        "required-parameter",
        Replace(
            file=CATALOG,
            old="def confirm(self, *, reference: str) -> None:",
            new="def confirm(self, *, reference: str, at: datetime) -> None:",
        ),
        where="catalog.CatalogService.confirm(at)",
        says="CatalogService.confirm requires `at`, which is new",
    ),
    change(
        "a parameter takes something else",
        "changed-parameter",
        Replace(
            file=CATALOG,
            old="def release(self, *, reference: str) -> None:",
            new="def release(self, *, reference: int) -> None:",
        ),
        where="catalog.CatalogService.release(reference)",
        says="takes `reference` as int, and took str",
    ),
    change(
        "a result may be None",
        "changed-result",
        Replace(
            file=USERS, old="def get(self, *, user_id: int) -> User:", new="def get(self, *, user_id: int) -> User | None:"
        ),
        where="users.UsersService.get",
        says="UsersService.get answers User | None, and answered User",
    ),
    change(
        "a door is closed to those who had it",
        "narrowed-door",
        Replace(
            file="modules/catalog/module.py", old="offers=CatalogService", new='offers=(Offer(CatalogService, to=("users",)),)'
        ),
        Replace(file="modules/catalog/module.py", old="import Job, Module", new="import Job, Module, Offer"),
        where="catalog.CatalogService",
        says="CatalogService is not offered to everybody any more, but to users",
    ),
]

VALUES: Final = [
    change(
        "a field has another name",
        "removed-field",
        Replace(file=USERS, old="    full_name: str | None", new="    display_name: str | None"),
        where="users.User.full_name",
        says="User's field full_name is gone",
    ),
    change(
        "an attribute of an error is gone",
        "removed-field",
        Replace(file=CATALOG, old="self.shortages = tuple", new="self._shortages = tuple"),
        where="catalog.OutOfStock.shortages",
        says="OutOfStock's attribute shortages is gone",
    ),
    change(
        "a DTO that callers make needs one more field",
        "required-field",
        Replace(
            file=CATALOG,
            old='units of one product."""\n\n    product_id: int',
            new='units of one product."""\n\n    note: str\n    product_id: int',
        ),
        where="catalog.StockLine.note",
        says="StockLine cannot be made without `note`, which is new",
    ),
    change(
        "a field that callers receive may be None",
        "optional-field",
        Replace(
            file=CATALOG,
            old='as sold."""\n\n    product_id: int\n    sku: str',
            new='as sold."""\n\n    product_id: int\n    sku: str | None',
        ),
        where="catalog.SoldLine.sku",
        says="SoldLine.sku can be None now",
    ),
    change(
        "a field that callers receive is something else",
        "changed-field",
        Replace(file=CATALOG, old="    unit_price: Decimal", new="    unit_price: str"),
        where="catalog.SoldLine.unit_price",
        says="SoldLine.unit_price is str, and was Decimal",
    ),
    change(
        "a member of an enum has another name",
        "removed-member",
        Replace(file=ORDERING, old='    PARTIAL = "partial"', new='    SOME = "partial"'),
        where="ordering.RefundStatus.PARTIAL",
        says="RefundStatus's member PARTIAL is gone; SOME looks like its new name",
    ),
    change(
        "a member of an enum has another value",
        "changed-member",
        Replace(file=ORDERING, old='    FAILED = "failed"', new='    FAILED = "refused"'),
        where="ordering.RefundState.FAILED",
        says="RefundState.FAILED is 'refused', and was 'failed'",
    ),
    change(
        "an enum that callers receive has one more member",
        "new-member",
        Replace(file=CATALOG, old='    DRAFT = "draft"', new='    DRAFT = "draft"\n    LOST = "lost"'),
        # So far, nobody receives it: let them.
        Replace(file=CATALOG, old="    unit_price: ", new="    status: ProductStatus\n    unit_price: "),
        Replace(
            file="modules/catalog/contracts/interface.json",
            old='  "SoldLine": {',
            new='  "SoldLine": {\n   "status": {\n    "optional": false,\n    "type": "ProductStatus"\n   },',
        ),
        where="catalog.ProductStatus.LOST",
        says="ProductStatus.LOST is new, and callers receive a ProductStatus",
    ),
]

NAMES: Final = [
    change(
        "an error has another name",
        "removed-name",
        Replace(file=ORDERING, old="class ProviderUnknown(", new="class ProviderMissing("),
        Replace(
            file="modules/ordering/router/__init__.py",
            old="    ProviderUnknown,\n",
            new="    ProviderMissing as ProviderUnknown,\n",
        ),
        Replace(
            file="modules/ordering/service/reconciling.py",
            old="import ProviderUnknown",
            new="import ProviderMissing as ProviderUnknown",
        ),
        where="ordering.ProviderUnknown",
        says="The error ProviderUnknown is gone; ProviderMissing looks like its new name",
    ),
    change(
        "a constant has another value",
        "changed-constant",
        Replace(file=CATALOG, old="1_000_000_000", new="2_000_000_000"),
        where="catalog.MAX_STOCK",
        says="MAX_STOCK is 2000000000, and was 1000000000",
    ),
    change(
        "an error has another code",
        "changed-error-code",
        Replace(file=CATALOG, old='"reservation-gone"', new='"reservation-lost"'),
        where="catalog.ReservationGone",
        says="ReservationGone has the code 'reservation-lost', and had 'reservation-gone'",
    ),
    change(
        "an error is of another kind",
        "changed-error-kind",
        Replace(file=CATALOG, old="class ReferenceTaken(Conflict)", new="class ReferenceTaken(NotFound)"),
        where="catalog.ReferenceTaken",
        says="ReferenceTaken is of the kind NotFound, and was Conflict: who catches Conflict misses it",
    ),
]

SNAPSHOTS: Final = [
    Planting(
        claim="a harmless change that nobody accepted",
        rule="interface/snapshot",
        edits=[Append(file=ORDERING, text="MAX_NOTE = 500\n")],
        where="modules/ordering/contracts/interface.json",
        says="older than the code, harmlessly",
        fix="emporium contracts accept ordering",
    ),
    Planting(
        claim="a snapshot that is not the released one",
        rule="interface/edited-snapshot",
        edits=[
            Write(
                file="docs/RELEASED.toml",
                text='at = 2026-12-01\ndebts = []\n\n[snapshots."users"]\n"interface" = "of another text"\n',
            )
        ],
        where="modules/users/contracts/interface.json",
        says="edited by hand or deleted",
        fix="git checkout",
    ),
    Planting(
        claim="an agreement that nobody agreed to",
        rule="interface/agreement",
        edits=[
            Write(
                file="modules/ordering/contracts/breaking.toml",
                text='[[change]]\nrule = "interface/removed-name"\nwhere = "ordering.Order"\nwhat = "Order is gone."\n'
                'why = "Nobody asks."\nagreed = []\nsince = 2026-12-01\nuntil = 2027-03-01\n',
            )
        ],
        where="modules/ordering/contracts/breaking.toml",
        says="lacks agreed",
        fix="[[change]]",
    ),
]

CHANGES: Final[list[Planting]] = [*METHODS, *VALUES, *NAMES, *SNAPSHOTS]
