"""Talking to the catalog's endpoints in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from httpx2 import Response
from tests.shop_fixtures import Shop

from kernel.pure.principal import Principal

PATH = "/api/v1/products"


@dataclass(frozen=True)
class Api:
    """The endpoints as one caller sees them."""

    shop: Shop
    caller: Principal | None

    def send(self, method: str, path: str = "", *, headers: dict[str, str] | None = None, **options: Any) -> Response:
        sent = {**self.shop.headers(self.caller), **(headers or {})}
        answer: Response = self.shop.http.request(method, PATH + path, headers=sent, **options)
        return answer

    def create(self, **body: Any) -> Response:
        return self.send("POST", json={"name": "Desk lamp", "price": "19.99", **body})

    def created(self, **body: Any) -> dict[str, Any]:
        answer = self.create(**body)
        assert answer.status_code == 201, answer.text
        product: dict[str, Any] = answer.json()
        return product

    def read(self, product: dict[str, Any], **headers: str) -> Response:
        return self.send("GET", f"/{product['id']}", headers=headers)

    def put(self, product: dict[str, Any], body: dict[str, Any], **headers: str) -> Response:
        return self.send("PUT", f"/{product['id']}", json=body, headers=headers)

    def patch(self, product: dict[str, Any], body: Any, **headers: str) -> Response:
        return self.send("PATCH", f"/{product['id']}", json=body, headers=headers)

    def delete(self, product: dict[str, Any]) -> Response:
        return self.send("DELETE", f"/{product['id']}")

    def move(self, product: dict[str, Any], quantity: Any, reason: Any, *, key: str | None = None) -> Response:
        headers = {"idempotency-key": key or uuid4().hex}
        body = {"quantity": quantity, "reason": reason}
        return self.send("POST", f"/{product['id']}/stock-movements", json=body, headers=headers)

    def movements(self, product: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.send("GET", f"/{product['id']}/stock-movements")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def page(self, **query: Any) -> dict[str, Any]:
        answer = self.send("GET", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def names(self, **query: Any) -> list[str]:
        return [item["name"] for item in self.page(**query)["items"]]


def problem(answer: Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The members of a problem of this status, and of this code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    if code is not None:
        assert members["code"] == code
    return members


def pointers(answer: Response) -> list[str]:
    return [error["pointer"] for error in problem(answer, 422)["errors"]]
