"""Violations of the gate `http`."""

from __future__ import annotations

from typing import Final

from tests.planting import Append, Planting, Replace, Write

CATALOG: Final = "modules/catalog/router.py"
ORDERING: Final = "modules/ordering/router/__init__.py"
ACCEPT: Final = "emporium contracts accept"

_OPERATIONS: Final = [
    Planting(
        claim="an operation that moved is gone for those who know its address",
        rule="http/removed-operation",
        edits=[Replace(file=CATALOG, old='router.get("/low-stock"', new='router.get("/running-low"')],
        where="GET /api/v1/products/low-stock",
        says="catalog_list_low_stock is GET /api/v1/products/running-low now",
        fix="modules/catalog/contracts/breaking.toml",
    ),
    Planting(
        claim="a renamed endpoint is a renamed method of generated clients",
        rule="http/changed-operation-id",
        edits=[Replace(file=CATALOG, old="def list_movements(", new="def list_stock_movements(")],
        where="GET /api/v1/products/{product_id}/stock-movements",
        says="was catalog_list_movements and is catalog_list_stock_movements",
        fix="Keep the old form",
    ),
    Planting(
        claim="a renamed body class is a renamed class of generated clients",
        rule="http/renamed-schema",
        edits=[
            Replace(file="modules/ordering/schemas.py", old="class ShipmentBody(Body)", new="class ParcelBody(Body)"),
            Append(file="modules/ordering/schemas.py", text="ShipmentBody = ParcelBody"),
        ],
        where="ShipmentBody",
        says="is called ParcelBody now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a query parameter that is gone is refused from now on",
        rule="http/removed-parameter",
        edits=[
            Replace(
                file="modules/users/schemas.py",
                old="    disabled: bool | None = Field(",
                new="    blocked: bool | None = Field(",
            )
        ],
        where="GET /api/v1/users query parameter disabled",
        says="is not known any more",
        fix=ACCEPT,
    ),
    Planting(
        claim="a form that became JSON",
        rule="http/changed-media-type",
        edits=[
            Replace(
                file="modules/users/router/tokens.py",
                old="form: Annotated[LogInForm, Form()], response",
                new="form: LogInForm, response",
            )
        ],
        where="POST /api/v1/auth/token request",
        says="no application/x-www-form-urlencoded any more",
        fix=ACCEPT,
    ),
    Planting(
        claim="success that is told by another status",
        rule="http/changed-status",
        edits=[
            Replace(
                file=CATALOG,
                old='status_code=204,\n        summary="Delete a product',
                new='status_code=200,\n        summary="Delete a product',
            )
        ],
        where="DELETE /api/v1/products/{product_id}",
        says="There is no 204 any more",
        fix=ACCEPT,
    ),
    Planting(
        claim="a problem that lost its code",
        rule="http/removed-problem-code",
        edits=[
            Replace(
                file=CATALOG,
                old="errors=[ProductNotFound, OutOfStock, StockLimit]",
                new="errors=[ProductNotFound, OutOfStock]",
            )
        ],
        where="POST /api/v1/products/{product_id}/stock-movements 409",
        says="stock-limit does not come any more",
        fix=ACCEPT,
    ),
    Planting(
        claim="an answer without the ETag that it had",
        rule="http/removed-header",
        edits=[
            Replace(
                file=ORDERING,
                old='"/{order_id}/deliver",\n        allow=role(ADMIN),\n        tagged=True,',
                new='"/{order_id}/deliver",\n        allow=role(ADMIN),',
            )
        ],
        where="POST /api/v1/orders/{order_id}/deliver 200 ETag",
        says="ETag is gone",
        fix=ACCEPT,
    ),
    Planting(
        claim="an operation that asks for a role that its callers lack",
        rule="http/changed-auth",
        edits=[
            Replace(file=ORDERING, old='"/{order_id}/history", allow=SIGNED_IN', new='"/{order_id}/history", allow=role(ADMIN)')
        ],
        where="GET /api/v1/orders/{order_id}/history",
        says="was for everybody who is logged in and is for callers with the role admin",
        fix=ACCEPT,
    ),
    Planting(
        claim="an operation of admins that is opened to everybody who is logged in",
        rule="http/opened-auth",
        edits=[
            Replace(
                file="modules/users/router/administration.py",
                old="from kernel.http.access import role",
                new="from kernel.http.access import SIGNED_IN, role",
            ),
            Replace(
                file="modules/users/router/administration.py",
                old="@router.get(USERS, allow=role(ADMIN)",
                new="@router.get(USERS, allow=SIGNED_IN",
            ),
        ],
        where="GET /api/v1/users",
        says="is open to everybody who is logged in",
        fix=ACCEPT,
    ),
]

_BODIES: Final = [
    Planting(
        claim="an Idempotency-Key that has to be sent where there was none",
        rule="http/new-required-input",
        edits=[
            Replace(
                file=ORDERING,
                old='"/{order_id}/cancel",\n        allow=SIGNED_IN,',
                new='"/{order_id}/cancel",\n        allow=SIGNED_IN,\n        idempotent=Idempotency.REQUIRED,',
            )
        ],
        where="POST /api/v1/orders/{order_id}/cancel header Idempotency-Key",
        says="is new, and has to be sent",
        fix=ACCEPT,
    ),
    Planting(
        claim="a new field that has to be sent",
        rule="http/new-required-input",
        edits=[
            Replace(
                file="modules/users/schemas.py",
                old="    old_password: KnownPassword\n",
                new="    old_password: KnownPassword\n    reason: ShortText\n",
            )
        ],
        where="PasswordBody.reason in requests",
        says="has to be sent",
        fix="Keep the old form",
    ),
    Planting(
        claim="an Idempotency-Key that could be left out",
        rule="http/required-input",
        edits=[Replace(file=CATALOG, old="idempotent=Idempotency.ACCEPTED", new="idempotent=Idempotency.REQUIRED")],
        where="POST /api/v1/products header Idempotency-Key",
        says="could be left out, and has to be sent now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a field that is taken no longer",
        rule="http/removed-input",
        edits=[Replace(file="modules/catalog/schemas.py", old="    stock: StockCount = 0\n", new="")],
        where="NewProductBody.stock in requests",
        says="what clients send in it is refused now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a text that may be half as long as before",
        rule="http/narrowed-input",
        edits=[Replace(file="modules/catalog/schemas.py", old="max_length=64, pattern=", new="max_length=32, pattern=")],
        where="NewProductBody.sku in requests",
        says="The maxLength was 64 and is 32",
        fix=ACCEPT,
    ),
    Planting(
        claim="what is left out means something else",
        rule="http/changed-default",
        edits=[
            Replace(
                file="modules/catalog/schemas.py",
                old="status: ProductStatus = ProductStatus.PUBLISHED",
                new="status: ProductStatus = ProductStatus.DRAFT",
            )
        ],
        where="NewProductBody.status in requests",
        says='it meant "published" and means "draft" now',
        fix=ACCEPT,
    ),
    Planting(
        claim="a field that is answered no longer",
        rule="http/removed-field",
        edits=[
            Replace(
                file="modules/ordering/interface.py",
                old="    decline_code: str | None\n    created_at",
                new="    created_at",
            )
        ],
        where="Payment.decline_code in answers",
        says="The field is gone",
        fix="http/removed-field at 'Payment.decline_code in answers'",
    ),
    Planting(
        claim="a field of answers that can be null from now on",
        rule="http/optional-field",
        edits=[
            Replace(
                file="modules/ordering/interface.py",
                old="    product_id: int\n    sku: str\n",
                new="    product_id: int\n    sku: str | None\n",
            )
        ],
        where="OrderLine.sku in answers",
        says="can be null now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a number of answers that can be a text from now on",
        rule="http/widened-output",
        edits=[
            Replace(
                file="modules/catalog/interface.py",
                old="    quantity: int\n    reason: str\n    reference: str",
                new="    quantity: int | str\n    reason: str\n    reference: str",
            )
        ],
        where="StockMovement.quantity in answers",
        says="can be a string now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a state that readers have no branch for",
        rule="http/new-enum-member",
        edits=[
            Replace(
                file="modules/ordering/interface.py",
                old='    SUCCEEDED = "succeeded"\n',
                new='    SUCCEEDED = "succeeded"\n    QUEUED = "queued"\n',
            )
        ],
        where="RefundState in answers",
        says='The value "queued" is new',
        fix=ACCEPT,
    ),
    Planting(
        claim="a keyword that no rule knows",
        rule="http/changed-schema",
        edits=[
            Replace(
                file="modules/users/schemas.py",
                old="    email: EmailText\n    password",
                new='    email: Annotated[EmailText, Field(json_schema_extra={"x-domain": "ours"})]\n    password',
            )
        ],
        where="RegisterBody.email in requests",
        says="There is a x-domain now",
        fix=ACCEPT,
    ),
]

_SNAPSHOTS: Final = [
    Planting(
        claim="a snapshot that is older than the code",
        rule="http/snapshot",
        edits=[
            Replace(
                file="modules/users/router/tokens.py",
                old='@router.post(f"{AUTH}/logout", allow=ANYONE,',
                new='@router.post(f"{AUTH}/logout", allow=ANYONE, deprecated=True,',
            )
        ],
        where="modules/users/contracts/http.json",
        says="older than the code, harmlessly",
        fix="Run `emporium contracts accept users`",
    ),
    Planting(
        claim="a released snapshot that somebody edited",
        rule="http/edited-snapshot",
        edits=[
            Write(
                file="docs/RELEASED.toml",
                text='at = 2026-11-30\ndebts = []\n\n[snapshots."ordering"]\n"http" = "what it was"\n',
            )
        ],
        where="modules/ordering/contracts/http.json",
        says="edited by hand or deleted",
        fix="git checkout -- modules/ordering/contracts/http.json",
    ),
    Planting(
        claim="an agreement that nobody agreed to",
        rule="http/agreement",
        edits=[
            Append(
                file="modules/catalog/contracts/breaking.toml",
                text='[[change]]\nrule = "http/removed-field"\nwhere = "Product.sku in answers"\nwhat = "gone"\nagreed = []\n',
            )
        ],
        where="modules/catalog/contracts/breaking.toml",
        says="lacks why, agreed (who, one or more), since (a date), until (a date)",
        fix="Write it as [[change]]",
    ),
    Planting(
        claim="an operation that no request of the replay is for",
        rule="http/unreplayed",
        edits=[Replace(file="modules/users/contracts/requests.toml", old='"users_read_me"', new='"users_read_us"')],
        where="GET /api/v1/users/me",
        says="is for users_read_me",
        fix='Add [[request]] with operation = "users_read_me" to modules/users/contracts/requests.toml',
    ),
]

_REPLAYED: Final = [
    Planting(
        claim="a status that no document knows",
        rule="http/replay",
        live=True,
        edits=[
            Replace(
                file=CATALOG,
                old="        tag(response, found.etag, if_none_match)\n",
                new="        tag(response, found.etag, if_none_match)\n        response.status_code = 203\n",
            )
        ],
        where="GET /api/v1/products/{product_id}",
        says="it is answered 203, which the snapshot does not know",
        fix="Serve it as before",
    ),
    Planting(
        claim="an answer that is not as it is documented",
        rule="http/replay",
        live=True,
        edits=[
            Replace(
                file="modules/users/router/accounts.py",
                old="return service.read_user(user_id=caller.user_id, caller=caller)",
                new="found = service.read_user(user_id=caller.user_id, caller=caller)\n"
                '        return {**__import__("dataclasses").asdict(found), "id": "3"}',
            )
        ],
        where="GET /api/v1/users/me",
        says="the answer 200 does not fit the snapshot's schema at /id: type",
        fix="Serve it as before",
    ),
    Planting(
        claim="an answer of 500",
        rule="http/replay",
        live=True,
        edits=[
            Replace(
                file=ORDERING,
                old="after_id = _HISTORY.after_id(query, first=0)",
                new="raise RuntimeError\n        after_id = _HISTORY.after_id(query, first=0)",
            )
        ],
        where="GET /api/v1/orders/{order_id}/history",
        says="it is answered 500",
        fix="Serve it as before",
    ),
    Planting(
        claim="a request that was served and is refused, and no document says why",
        rule="http/replay",
        live=True,
        edits=[
            Replace(
                file=ORDERING,
                old="        shipped = service.ship_order(",
                new='        if " " in body.tracking_reference:\n            raise ActionNotAllowed("No spaces.")\n'
                "        shipped = service.ship_order(",
            )
        ],
        where="POST /api/v1/orders/{order_id}/ship",
        says="was answered 200, and is 409 (action-not-allowed) now",
        fix="Serve it as before",
    ),
    Planting(
        claim="an answer that lacks its Location",
        rule="http/replay",
        live=True,
        edits=[
            Replace(
                file=CATALOG,
                old='        response.headers["location"] = f"{PREFIX}/{product_id}/stock-movements/{movement.id}"\n',
                new="",
            )
        ],
        where="POST /api/v1/products/{product_id}/stock-movements",
        says="the answer 201 lacks the header Location",
        fix="Serve it as before",
    ),
]

PLANTINGS: Final[list[Planting]] = [*_OPERATIONS, *_BODIES, *_SNAPSHOTS, *_REPLAYED]
