"""Races on the real application: many clients at once want what only one of them can have, and each is told the truth."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any, Final

import pytest
from tests.flows._books import check_events, check_stock
from tests.ordering.conftest import Till, at_once
from tests.shop_fixtures import Shop

from ordering.service import DatabaseOrderingService

CLIENTS: Final = 64
TWINS: Final = 50
STAGGER_SECONDS: Final = 0.04
"""About what paying takes: whoever starts this much later comes too late on an idle machine."""


def rounds(few: int, many: int) -> pytest.MarkDecorator:
    """`few` in `make test`, `many` in `make prove`."""
    return pytest.mark.parametrize("rounds", [few, pytest.param(many, marks=pytest.mark.prove)])


def patiently(request: Callable[[], Any]) -> Any:
    """Repeat what waited too long for a lock (503), as a client would: a busy machine is not what these tests are about."""
    answer = request()
    for _ in range(20):
        if answer.status_code != 503:
            break
        assert answer.headers["retry-after"]
        answer = request()
    return answer


def later(seconds: float, call: Callable[[], Any]) -> Any:
    time.sleep(max(0.0, seconds))
    return call()


def race(first: Callable[[], Any], second: Callable[[], Any], lead: float) -> list[Any]:
    """Both answers; `first` starts that many seconds before `second`, or after it. An infinite lead: one after the other."""
    if math.isinf(lead):
        calls = {0: first, 1: second}
        answers = {number: calls[number]() for number in sorted(calls, reverse=lead < 0)}
        return [answers[0], answers[1]]
    return at_once([partial(later, -lead, first), partial(later, lead, second)])


def leads(rounds: int) -> Iterator[float]:
    """Head starts all over the range in which the two meet; at both ends the one has finished before the other begins."""
    yield -math.inf
    for number in range(rounds - 2):
        yield STAGGER_SECONDS * (2 * (number + random.random()) / (rounds - 2) - 1)  # noqa: S311 -- not a secret
    yield math.inf


@pytest.fixture
def till(shop: Shop) -> Iterator[Till]:
    service: DatabaseOrderingService = shop.app.state.parts.services["ordering"]
    gateway: Any = service._gateway
    yield (till := Till(shop, gateway._gateway, service))
    till.reconcile()
    till.check_books()
    check_stock(shop.query)
    check_events(shop.query)


class TestStock:
    @rounds(1, 20)
    def test_64_clients_for_the_last_unit_one_wins_and_the_others_hear_that_it_is_gone(self, till: Till, rounds: int) -> None:
        shop = till.shop
        buyers = [shop.person() for _ in range(CLIENTS)]
        for _ in range(rounds):
            lamp = shop.product(stock=1)
            answers = at_once([partial(patiently, partial(shop.place, buyer, (lamp, 1))) for buyer in buyers])
            assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CLIENTS - 1}
            losers = [answer.json() for answer in answers if answer.status_code == 409]
            assert {problem["code"] for problem in losers} == {"out-of-stock"}
            assert all(
                problem["shortages"] == [{"product_id": lamp["id"], "requested": 1, "available": 0}] for problem in losers
            )
            assert till.stock(lamp) == (1, 1)

    @rounds(4, 60)
    def test_products_taken_in_every_order_let_no_deadlock_reach_a_client(self, till: Till, rounds: int) -> None:
        shop = till.shop
        products = [shop.product(stock=10_000) for _ in range(3)]

        def buy(wanted: tuple[dict[str, Any], ...]) -> Counter[int]:
            buyer, seen = shop.person(), Counter[int]()
            for _ in range(rounds):
                placed = patiently(partial(shop.place, buyer, *((product, 1) for product in wanted)))
                seen[placed.status_code] += 1
                # Giving back locks the same rows once more, in the order of a hold.
                seen[patiently(partial(till.post, buyer, placed.json(), "cancel")).status_code] += 1
            return seen

        orders = list(itertools.permutations(products, 2)) * 2
        seen = sum(at_once([partial(buy, wanted) for wanted in orders]), Counter[int]())
        assert seen == {201: len(orders) * rounds, 200: len(orders) * rounds}
        assert [till.stock(product) for product in products] == [(10_000, 0)] * 3


class TestKeys:
    @rounds(1, 15)
    def test_one_key_50_times_at_once_is_one_order_and_its_bytes_for_all_who_ask_later(self, till: Till, rounds: int) -> None:
        shop = till.shop
        lamp, buyer = shop.product(stock=rounds), shop.person()
        for number in range(rounds):
            send = partial(patiently, partial(shop.place, buyer, (lamp, 1), key=f"k{number}"))
            answers = at_once([send] * TWINS)
            assert {answer.status_code for answer in answers} <= {201, 409}
            waiting = [answer for answer in answers if answer.status_code == 409]
            assert {(answer.json()["code"], answer.headers["retry-after"]) for answer in waiting} <= {
                ("idempotency-key-in-use", "1")
            }
            (stored,) = {answer.content for answer in answers if answer.status_code == 201}
            # Twins that ask at the same time are sent away even now: each asks again, as it was told to.
            replays = [send() for _ in range(TWINS)]
            assert {(replay.status_code, replay.content) for replay in replays} == {(201, stored)}
            assert {replay.headers["idempotency-replayed"] for replay in replays} == {"true"}
        assert shop.query("SELECT count(*) FROM ordering.orders") == [(rounds,)]
        assert till.stock(lamp) == (rounds, rounds)

    @rounds(1, 15)
    @pytest.mark.parametrize("token", ["tok_approve", "tok_twice"])
    def test_one_key_50_times_at_once_is_one_charge(self, till: Till, rounds: int, token: str) -> None:
        buyer = till.shop.person()
        for number in range(rounds):
            order = till.order(buyer)
            send = partial(patiently, partial(till.pay, buyer, order, token, key=f"k{number}"))
            answers = at_once([send] * TWINS)
            assert {answer.status_code for answer in answers} <= {201, 202, 409}
            (stored,) = {answer.content for answer in answers if answer.status_code == 201}
            replays = [send() for _ in range(TWINS)]
            assert {(replay.status_code, replay.content) for replay in replays} == {(201, stored)}
            assert (till.charges(order), till.kept(order)) == (1, Decimal(order["total"]))
            assert till.events(order) == ["OrderPlaced", "OrderPaid"]


TOKENS: Final = ("tok_approve", "tok_late", "tok_fail_after_charge", "tok_twice")


class TestEndings:
    """One outcome, told to everybody, and afterwards the money where it belongs."""

    def settle(self, till: Till, order: dict[str, Any], lamp: dict[str, Any], pay: Callable[[], Any]) -> tuple[str, Any]:
        """The order's state, and what a later repeat of the payment says; both have to fit the books."""
        till.reconcile()
        status = till.read(till.shop.admin(), order)["status"]
        paid = patiently(pay)
        if status == "paid":
            assert paid.status_code == 201
            assert till.kept(order) == Decimal(order["total"])
            assert till.stock(lamp) == (0, 0)
        else:
            # 402: the end came before the payment had reached the provider.
            assert paid.status_code in (402, 409), paid.text
            assert paid.status_code == 402 or paid.json()["order_status"] == status
            assert till.kept(order) == 0
            assert till.stock(lamp) == (3, 0)
        assert till.charges(order) <= 1
        ended = {"paid": "OrderPaid", "cancelled": "OrderCancelled", "expired": "OrderExpired"}
        assert till.events(order) == ["OrderPlaced", ended[status]]
        return status, paid

    @rounds(12, 200)
    def test_whoever_starts_first_cancel_and_pay_agree(self, till: Till, rounds: int) -> None:
        seen: Counter[str] = Counter()
        for lead, token in zip(leads(rounds), itertools.cycle(TOKENS), strict=False):
            lamp, buyer = till.shop.product(stock=3), till.shop.person()
            order = till.order(buyer, (lamp, 3))
            pay = partial(till.pay, buyer, order, token, key="k")
            told, cancelled = race(
                partial(patiently, pay), partial(patiently, partial(till.post, buyer, order, "cancel")), lead
            )
            status, paid = self.settle(till, order, lamp, pay)
            seen[status] += 1
            assert (cancelled.status_code == 200) == (status == "cancelled"), cancelled.text
            if status == "paid":
                assert (cancelled.status_code, cancelled.json()["order_status"]) == (409, "paid")
            # Whoever was told an outcome at once was told the one that holds.
            assert told.status_code in (202, paid.status_code)
        assert set(seen) == {"paid", "cancelled"}, seen

    @rounds(12, 200)
    def test_whoever_starts_first_expiry_and_pay_agree(self, till: Till, rounds: int) -> None:
        seen: Counter[str] = Counter()
        for number, (lead, token) in enumerate(zip(leads(rounds), itertools.cycle(TOKENS), strict=False)):
            lamp, buyer = till.shop.product(stock=3), till.shop.person()
            order = till.order(buyer, (lamp, 3))
            till.overdue(order)
            pay = partial(till.pay, buyer, order, token, key="k")
            # The sweep lets somebody who is paying finish; the other one is what happens after two minutes of that.
            expire: list[Callable[[], Any]] = [
                till.service.expire_orders,
                partial(till.service.expire_order, order_id=order["id"], even_now=True),
            ]
            told, expired = race(partial(patiently, pay), expire[number // len(TOKENS) % 2], lead)
            status, paid = self.settle(till, order, lamp, pay)
            seen[status] += 1
            assert bool(expired) == (status == "expired")
            assert told.status_code in (202, paid.status_code)
        assert set(seen) == {"paid", "expired"}, seen

    @rounds(6, 100)
    def test_all_at_once_have_one_winner(self, till: Till, rounds: int) -> None:
        for _, token in zip(range(rounds), itertools.cycle(TOKENS), strict=False):
            lamp, buyer = till.shop.product(stock=3), till.shop.person()
            order = till.order(buyer, (lamp, 3))
            pay = partial(till.pay, buyer, order, token, key="k")
            contenders: list[Callable[[], Any]] = [
                partial(patiently, pay),
                partial(patiently, pay),
                partial(patiently, partial(till.pay, buyer, order, key="another")),
                partial(patiently, partial(till.post, buyer, order, "cancel")),
                partial(patiently, partial(till.post, till.shop.admin(), order, "cancel")),
                partial(till.service.expire_order, order_id=order["id"], even_now=True),
                till.reconcile,
            ]
            wait = [random.uniform(0, STAGGER_SECONDS) for _ in contenders]  # noqa: S311 -- not a secret
            *paid, cancelled, cancelled_too, expired, _ = at_once([partial(later, *each) for each in zip(wait, contenders)])  # noqa: B905 -- made so
            till.reconcile()
            status = till.read(buyer, order)["status"]
            assert status in ("paid", "cancelled", "expired")
            assert [cancelled.status_code, cancelled_too.status_code].count(200) == int(status == "cancelled")
            assert expired == (status == "expired")
            assert {answer.status_code for answer in paid} <= ({201, 202, 409} if status == "paid" else {202, 402, 409})
            assert (till.charges(order) <= 1, till.kept(order)) == (True, Decimal(order["total"]) if status == "paid" else 0)
            assert till.stock(lamp) == ((0, 0) if status == "paid" else (3, 0))


class TestRefunds:
    @rounds(4, 60)
    def test_refunds_that_together_exceed_the_capture_stop_at_it(self, till: Till, rounds: int) -> None:
        for _, token in zip(range(rounds), itertools.cycle(["tok_approve", "tok_refund_late"]), strict=False):
            order = till.paid(till.shop.person(), token=token)
            captured = Decimal(order["total"])
            amounts = [Decimal(random.randint(1, 2_000)) / 100 for _ in range(12)]  # noqa: S311 -- not a secret
            answers = at_once([partial(patiently, partial(till.refund, order, amount=f"{amount:.2f}")) for amount in amounts])
            assert {answer.status_code for answer in answers} <= {201, 202, 409}
            given = sum(amount for amount, answer in zip(amounts, answers, strict=True) if answer.status_code != 409)
            assert given <= captured
            for amount, answer in zip(amounts, answers, strict=True):
                if answer.status_code == 409:
                    assert answer.json()["code"] == "refund-exceeds-capture"
                    assert amount + given > captured, "It was refused though it would have fitted."
            till.reconcile()
            read = till.read(till.shop.admin(), order)
            assert Decimal(read["refunded_amount"]) == given
            assert till.kept(order) == captured - given
