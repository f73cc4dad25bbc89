"""The catalog's endpoints: parse, call one service method, answer."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import uuid4

from fastapi import Query
from starlette.responses import Response

from catalog.interface import OutOfStock, Product, ProductNotFound, ProductStatus, StockLimit, StockMovement
from catalog.schemas import (
    CountField,
    MovementBody,
    NewMovementBody,
    NewProductBody,
    PatchProductBody,
    ProductBody,
    ProductQuery,
    ReplaceProductBody,
    Sort,
)
from catalog.service import DatabaseCatalogService, MovementNotFound, NewProduct, ProductFilter, SkuTaken
from kernel.http.access import ANYONE, OptionalCaller, role
from kernel.http.etags import IfMatch, IfNoneMatch, expected_versions, tag
from kernel.http.fields import Identifier, IdField, PriceField, ShortText, changes
from kernel.http.pages import Keyset, PageQuery
from kernel.http.routes import Idempotency, Router
from kernel.pure.errors import Forbidden
from kernel.pure.principal import ADMIN, Principal
from kernel.pure.values import MAX_ID, Page

PREFIX: Final = "/api/v1/products"

_BY_NAME: Final = Keyset[Product](lambda product: (product.name, product.id), ShortText, IdField)
_BY_PRICE: Final = Keyset[Product](lambda product: (product.price, product.id), PriceField, IdField)
_KEYSETS: Final = {
    Sort.NEWEST: Keyset[Product](lambda product: (product.id,), IdField),
    Sort.NAME: _BY_NAME,
    Sort.NAME_DESCENDING: _BY_NAME,
    Sort.PRICE: _BY_PRICE,
    Sort.PRICE_DESCENDING: _BY_PRICE,
    Sort.BEST_SELLING: Keyset[Product](lambda product: (product.units_sold, product.id), CountField, IdField),
}
_LOW_STOCK: Final = Keyset[Product](lambda product: (product.id,), IdField)
_MOVEMENTS: Final = Keyset[StockMovement](lambda movement: (movement.id,), IdField)


def build_router(service: DatabaseCatalogService) -> Router:
    router = Router(module="catalog", prefix=PREFIX)

    @router.get("", allow=ANYONE, summary="List products", errors=[Forbidden])
    def list_products(query: Annotated[ProductQuery, Query()], caller: OptionalCaller, response: Response) -> Page[ProductBody]:
        keyset = _KEYSETS[query.sort]
        found = service.list_products(
            where=_filter(query, caller),
            sort=query.sort.value,
            after=keyset.after(query),
            limit=query.limit + 1,
            detailed=_is_admin(caller),
        )
        return keyset.page(query, found, response)

    @router.get("/low-stock", allow=role(ADMIN), summary="List products of which few can be sold, newest first")
    def list_low_stock(query: Annotated[PageQuery, Query()], response: Response) -> Page[ProductBody]:
        """Published products with `EMPORIUM_LOW_STOCK` (5) or fewer units that are not reserved."""
        found = service.list_low_stock(before_id=_LOW_STOCK.after_id(query, first=MAX_ID), limit=query.limit + 1)
        return _LOW_STOCK.page(query, found, response)

    @router.get("/{product_id}", allow=ANYONE, summary="Read a product", errors=[ProductNotFound])
    def read_product(
        product_id: Identifier, caller: OptionalCaller, response: Response, if_none_match: IfNoneMatch = None
    ) -> ProductBody:
        found = service.read_product(product_id=product_id, published_only=not _is_admin(caller))
        tag(response, found.etag, if_none_match)
        return found.value

    @router.post(
        "",
        allow=role(ADMIN),
        status_code=201,
        tagged=True,
        idempotent=Idempotency.ACCEPTED,
        summary="Create a product",
        errors=[SkuTaken],
    )
    def create_product(body: NewProductBody, response: Response) -> ProductBody:
        created = service.create_product(new=NewProduct(**dict(body)))
        response.headers["location"] = f"{PREFIX}/{created.value.id}"
        tag(response, created.etag)
        return created.value

    @router.put("/{product_id}", allow=role(ADMIN), summary="Replace a product", errors=[ProductNotFound, SkuTaken])
    def replace_product(
        product_id: Identifier, body: ReplaceProductBody, response: Response, if_match: IfMatch = None
    ) -> ProductBody:
        changed = service.change_product(
            product_id=product_id,
            versions=expected_versions(if_match),
            changes={"description": body.description, **changes(body)},
        )
        tag(response, changed.etag)
        return changed.value

    @router.patch("/{product_id}", allow=role(ADMIN), summary="Change parts of a product", errors=[ProductNotFound, SkuTaken])
    def patch_product(
        product_id: Identifier, body: PatchProductBody, response: Response, if_match: IfMatch = None
    ) -> ProductBody:
        changed = service.change_product(product_id=product_id, versions=expected_versions(if_match), changes=changes(body))
        tag(response, changed.etag)
        return changed.value

    @router.delete(
        "/{product_id}",
        allow=role(ADMIN),
        status_code=204,
        summary="Delete a product, or archive it when it was ever reserved or sold",
        errors=[ProductNotFound],
    )
    def delete_product(product_id: Identifier) -> None:
        service.delete_product(product_id=product_id)

    _add_movements(router, service)
    return router


def _add_movements(router: Router, service: DatabaseCatalogService) -> None:
    @router.post(
        "/{product_id}/stock-movements",
        allow=role(ADMIN),
        status_code=201,
        idempotent=Idempotency.REQUIRED,
        summary="Change a product's stock",
        errors=[ProductNotFound, OutOfStock, StockLimit],
    )
    def create_movement(product_id: Identifier, body: NewMovementBody, response: Response) -> MovementBody:
        movement = service.move_stock(
            product_id=product_id, quantity=body.quantity, reason=body.reason, reference=f"manual:{uuid4().hex}"
        )
        response.headers["location"] = f"{PREFIX}/{product_id}/stock-movements/{movement.id}"
        return movement

    @router.get(
        "/{product_id}/stock-movements",
        allow=role(ADMIN),
        summary="List the movements of a product's stock, newest first",
        errors=[ProductNotFound],
    )
    def list_movements(product_id: Identifier, query: Annotated[PageQuery, Query()], response: Response) -> Page[MovementBody]:
        before_id = _MOVEMENTS.after_id(query, first=MAX_ID)
        found = service.list_movements(product_id=product_id, before_id=before_id, limit=query.limit + 1)
        return _MOVEMENTS.page(query, found, response)

    @router.get(
        "/{product_id}/stock-movements/{movement_id}",
        allow=role(ADMIN),
        summary="Read a movement of a product's stock",
        errors=[MovementNotFound],
    )
    def read_movement(product_id: Identifier, movement_id: Identifier) -> MovementBody:
        return service.read_movement(product_id=product_id, movement_id=movement_id)


def _filter(query: ProductQuery, caller: Principal | None) -> ProductFilter:
    """The public sees what is published. Errors: Forbidden, when it asks for anything else."""
    status = query.status
    if not _is_admin(caller):
        if status not in (None, ProductStatus.PUBLISHED):
            raise Forbidden("Only admins may list products that are not published.", parameter="status", roles=[ADMIN])
        status = ProductStatus.PUBLISHED
    return ProductFilter(
        status=None if status is None else status.value,
        q=query.q,
        sku=query.sku,
        min_price=query.min_price,
        max_price=query.max_price,
        in_stock=query.in_stock,
    )


def _is_admin(caller: Principal | None) -> bool:
    return caller is not None and caller.is_admin
