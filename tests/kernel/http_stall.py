"""A market stall: one small module's endpoints, with every kind of value that clients send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from fastapi import Form, Query, Response

from kernel.http.access import ANYONE, SIGNED_IN, Caller, OptionalCaller, role
from kernel.http.documents import Described
from kernel.http.etags import IfMatch, IfNoneMatch, expected_versions, tag
from kernel.http.fields import (
    Body,
    Identifier,
    IdField,
    LongText,
    PriceField,
    QuantityField,
    ShortText,
    StockCount,
    absent,
    changes,
)
from kernel.http.pages import Keyset, PageQuery
from kernel.http.routes import Router
from kernel.pure.errors import Conflict, NotFound, PreconditionFailed
from kernel.pure.values import Page


class Kind(StrEnum):
    FRUIT = "fruit"
    TOOL = "tool"


class WareNotFound(NotFound):
    """There is no such ware, or it is not for sale."""

    code = "ware-not-found"
    title = "Ware not found"


class SoldOut(Conflict):
    code = "sold-out"
    title = "Sold out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    language: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """Something that the stall sells."""

    id: int
    name: str
    price: Decimal
    kind: Kind
    labels: tuple[Label, ...]
    version: int
    created_at: datetime


WareBody = Annotated[
    Ware,
    Described(
        example={"id": 1, "name": "Apple", "price": "0.30"},
        fields={"price": "In the stall's currency.", "labels.words": "For people."},
    ),
]


class LabelBody(Body):
    language: ShortText
    words: LongText


class NewWare(Body):
    name: ShortText
    price: PriceField
    stock: StockCount = 0
    quantity: QuantityField = 1
    kind: Kind = Kind.FRUIT
    description: LongText | None = None
    related: tuple[IdField, ...] = ()
    labels: tuple[LabelBody, ...] = ()


class WarePatch(Body):
    name: ShortText = absent()
    description: LongText | None = None


class Sort(StrEnum):
    NAME = "name"
    PRICE = "price"


class WareQuery(PageQuery):
    q: ShortText | None = None
    min_price: PriceField | None = None
    kind: tuple[Kind, ...] = ()
    sort: Sort = Sort.NAME


BY: dict[Sort, Keyset[Ware]] = {
    Sort.NAME: Keyset(lambda ware: (ware.name, ware.id), ShortText, IdField),
    Sort.PRICE: Keyset(lambda ware: (ware.price, ware.id), PriceField, IdField),
}


def make_ware(number: int = 1) -> Ware:
    return Ware(
        id=number,
        name=f"Ware {number:03}",
        price=Decimal(number).quantize(Decimal("0.01")),
        kind=Kind.FRUIT,
        labels=(Label(language="en", words="fresh"),),
        version=3,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


WARES = [make_ware(number) for number in range(1, 46)]


def build_router() -> Router:  # noqa: C901 -- one screen of small endpoints
    router = Router(module="stall", prefix="/api/v1/wares")

    @router.get("", allow=ANYONE)
    def list_wares(query: Annotated[WareQuery, Query()], response: Response) -> Page[WareBody]:
        keyset = BY[query.sort]
        after = keyset.after(query)
        found = [ware for ware in WARES if after is None or ware.id > after[-1]]
        return keyset.page(query, found[: query.limit + 1], response)

    @router.get("/plain", allow=ANYONE)
    def list_plainly(limit: Annotated[int, Query(ge=1, le=10)] = 5) -> int:
        return limit

    @router.get("/{ware_id}", allow=ANYONE, errors=[WareNotFound])
    def read_ware(ware_id: Identifier, response: Response, if_none_match: IfNoneMatch = None) -> WareBody:
        """One ware."""
        if ware_id > 1000:
            raise WareNotFound("There is no such ware.", ware_id=ware_id)
        tag(response, "3.7", if_none_match)
        return make_ware(ware_id)

    @router.post("", allow=role("admin"), status_code=201, errors=[SoldOut])
    def create_ware(body: NewWare, response: Response, caller: Caller) -> WareBody:
        """Put a ware on the stall."""
        if body.name == "Sold out":
            raise SoldOut("All gone.", available=0)
        response.headers["location"] = f"/api/v1/wares/{caller.user_id}"
        return make_ware()

    @router.patch("/{ware_id}", allow=ANYONE)
    def change_ware(ware_id: Identifier, body: WarePatch, if_match: IfMatch = None) -> dict[str, str | None]:
        versions = expected_versions(if_match)
        if versions is not None and 3 not in versions:
            raise PreconditionFailed("The ware has changed.")
        return changes(body)

    @router.delete("/{ware_id}", allow=SIGNED_IN)
    def delete_ware(ware_id: Identifier) -> None:
        """Take a ware away."""

    @router.post("/echo", allow=ANYONE, max_body=64)
    def echo(body: NewWare) -> str:
        return body.name

    @router.post("/anything", allow=ANYONE)
    def take(body: NewWare) -> Sequence[str]:
        return [body.name, str(body.price)]

    @router.post("/form", allow=ANYONE)
    def take_form(username: Annotated[ShortText, Form()]) -> str:
        return username

    @router.get("/me/name", allow=ANYONE)
    def who(caller: OptionalCaller) -> int | None:
        return None if caller is None else caller.user_id

    return router
