"""Load: people who buy at a running shop at once, over HTTP, and write down everything that it tells them."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from tests.flows._shops import Shop

from kernel.http.tokens import AccessTokens
from kernel.pure.clock import SystemClock
from kernel.pure.principal import ADMIN, Principal

SECRET: Final = "a secret of the tests, 32 bytes or more"
_PATIENCE_SECONDS: Final = 60
_LONGEST_WAIT_SECONDS: Final = 0.25
"""The shop says a second; who comes back sooner meets more of its trouble."""
_ADMIN_ID: Final = 1
_TOKENS: Final = (None, "tok_approve", "tok_approve", "tok_twice", "tok_late", "tok_fail_after_charge")


@dataclass(frozen=True)
class Answer:
    """`status` 0: the connection broke, for the reason in `content`."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def unsettled(self) -> bool:
        """Whether it asks to come again."""
        return self.status in (202, 503) or (self.status == 409 and "retry-after" in self.headers)

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Request:
    """One request, as often as it was sent."""

    user_id: int
    path: str
    body: Any
    key: str
    answers: list[Answer] = field(default_factory=list)


class Buyers:
    """`stop` ends it: what was begun is repeated until it is settled. With `quitting`, a broken connection ends it as well."""

    def __init__(self, shop: Shop, products: Sequence[int], *, quitting: bool = False) -> None:
        self.requests: list[Request] = []
        self._shop = shop
        self._products = products
        self._quitting = quitting
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, number: int) -> None:
        for person in range(number):
            self._threads.append(threading.Thread(target=self._live, args=(_ADMIN_ID + 1 + person,)))
            self._threads[-1].start()

    def stop(self) -> None:
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS + 30)
        if self._failures:
            raise self._failures[0]

    def answers(self) -> list[Answer]:
        return [answer for request in list(self.requests) for answer in list(request.answers)]

    def seen(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers())

    def settled(self, action: str = "/orders") -> list[Request]:
        """The requests of this kind that were answered with success in the end."""
        return [
            request
            for request in self.requests
            if request.path.endswith(action) and request.answers and request.answers[-1].status in (200, 201)
        ]

    def check_answers(self) -> None:
        """2xx, 409, and 503 with the time to come again: nothing else."""
        for answer in self.answers():
            assert 200 <= answer.status < 300 or answer.status in (409, 503), (answer.status, answer.content)
            if answer.status == 503:
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.headers["content-type"] == "application/problem+json"

    def _live(self, user_id: int) -> None:
        line = Line(self._shop.port)
        try:
            while not self._stopping.is_set():
                self._buy(line, user_id)
        except ShopGone as error:
            if not self._quitting:
                self._failures.append(error)
        except BaseException as error:
            self._failures.append(error)
        finally:
            line.close()

    def _buy(self, line: Line, user_id: int) -> None:
        chosen = random.sample(self._products, k=min(2, len(self._products)))
        items = [{"product_id": product, "quantity": random.randint(1, 3)} for product in chosen]  # noqa: S311 -- not a secret
        placed = self._settle(line, user_id, "/orders", {"items": items})
        if placed.status != 201:
            return
        path = f"/orders/{placed.json()['id']}"
        kind = random.random()  # noqa: S311 -- not a secret
        if kind < 0.15:
            self._settle(line, user_id, f"{path}/cancel", None)
        elif kind < 0.9:
            token = random.choice(_TOKENS)  # noqa: S311 -- not a secret
            paid = self._settle(line, user_id, f"{path}/payments", {"method": "card", "token": token})
            if paid.status == 201 and kind < 0.3:
                self._settle(line, _ADMIN_ID, f"{path}/refunds", {"amount": "1.00"})

    def _settle(self, line: Line, user_id: int, path: str, body: Any) -> Answer:
        """Ask until it is settled, as told to, always with the same key."""
        request = Request(user_id, f"/api/v1{path}", body, uuid4().hex)
        self.requests.append(request)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            request.answers.append(answer := line.send(request))
            if answer.status == 0:
                raise ShopGone(answer.content.decode())
            if not answer.unsettled:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"Not settled after {_PATIENCE_SECONDS} s: {request}")
            time.sleep(min(_LONGEST_WAIT_SECONDS, float(answer.headers.get("retry-after", 0.05))))


class ShopGone(Exception):
    """The connection was refused or broke."""


class Line:
    """One connection to the shop, kept alive; for one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)

    def send(self, request: Request) -> Answer:
        body = None if request.body is None else json.dumps(request.body)
        headers = {
            "Authorization": f"Bearer {token_of(request.user_id)}",
            "Content-Type": "application/json",
            "Idempotency-Key": request.key,
        }
        try:
            self._connection.request("POST", request.path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(0, {}, f"{type(error).__name__}: {error}".encode())
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def close(self) -> None:
        self._connection.close()


_tokens = AccessTokens(SECRET, SystemClock())
_issued: dict[int, str] = {}


def token_of(user_id: int) -> str:
    if user_id not in _issued:
        roles = frozenset({ADMIN} if user_id == _ADMIN_ID else ())
        principal = Principal(user_id=user_id, roles=roles, epoch=1)
        _issued[user_id] = _tokens.issue(principal, timedelta(hours=1))
    return _issued[user_id]


def furnish(shop: Shop, query: Callable[..., Any], *, people: int, products: int) -> list[int]:
    """Let people in (the first one is the admin) and put products on the shelves; answers their ids."""
    query("INSERT INTO kernel.principals (user_id, epoch) SELECT generate_series(1, :last), 1 RETURNING 1", last=people + 1)
    line, ids = Line(shop.port), []
    for number in range(products):
        body = {"name": f"Product {number}", "price": "4.99", "stock": 100_000}
        answer = line.send(Request(_ADMIN_ID, "/api/v1/products", body, uuid4().hex))
        assert answer.status == 201, answer
        ids.append(answer.json()["id"])
    line.close()
    return ids
