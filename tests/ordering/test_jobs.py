"""What happens to orders without anybody's request: the jobs, by the real dispatcher."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import URL, create_engine, text
from tests.ordering.conftest import Till
from tests.scenario import Scenario

from kernel.database.dispatching.dispatcher import Dispatcher
from ordering.interface import OrderExpired, OrderPaid


def test_the_jobs_expire_what_is_over_and_settle_what_is_open(till: Till, dispatcher: Dispatcher, scenario: Scenario) -> None:
    buyer = till.shop.person()
    over, open_ = till.order(buyer), till.order(buyer)
    till.pay(buyer, open_, "tok_late")
    till.overdue(over)
    till.shop.query("UPDATE ordering.payments SET next_check_at = now() - interval '1 s' RETURNING id")
    story = scenario.stimulate(lambda: dispatcher.run_jobs(due_only=False))
    assert story.await_event(OrderExpired).order_id == over["id"]
    assert story.await_event(OrderPaid).order_id == open_["id"]
    assert {job.name: job.every for job in dispatcher.jobs if job.name.startswith("ordering.")} == {
        "ordering.expire_orders": timedelta(seconds=5),
        "ordering.reconcile": timedelta(seconds=5),
        "ordering.forget_closed_accounts": timedelta(seconds=5),
        "ordering.delete_old_messages": timedelta(minutes=1),
    }


def test_one_that_cannot_be_settled_does_not_keep_the_others_waiting(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer = till.shop.person()
    stuck, fine = till.order(buyer), till.order(buyer)
    till.pay(buyer, stuck, "tok_late")
    till.pay(buyer, fine, "tok_late")
    till.shop.query("UPDATE ordering.payments SET provider = 'gone' WHERE order_id = :id RETURNING id", id=stuck["id"])
    assert till.reconcile() == 2
    assert till.read(buyer, fine)["status"] == "paid"
    assert till.read(buyer, stuck)["status"] == "pending"
    till.shop.query("UPDATE ordering.payments SET provider = 'sandbox' WHERE order_id = :id RETURNING id", id=stuck["id"])
    till.reconcile()
    assert till.read(buyer, stuck)["status"] == "paid"


def test_a_slow_provider_keeps_the_dispatchers_other_work_waiting_for_a_while_only(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = till.shop.person()
    for _ in range(12):
        till.pay(buyer, till.order(buyer), "tok_late")
    ticks = count(step=4)
    monkeypatch.setattr("ordering.service.reconciling.monotonic", lambda: next(ticks))
    assert 0 < till.reconcile() < 5
    monkeypatch.undo()
    # What it had claimed and not looked at comes up again.
    assert till.reconcile() > 5
    assert till.reconcile() == 0
    assert till.shop.query("SELECT DISTINCT status FROM ordering.payments") == [("captured",)]


def test_an_order_whose_stock_somebody_holds_does_not_keep_the_others_waiting(till: Till, superuser_url: URL) -> None:
    buyer, lamp = till.shop.person(), till.shop.product()
    stuck, free = till.order(buyer, (lamp, 1)), till.order(buyer)
    for order in (stuck, free):
        till.overdue(order)
    engine = create_engine(superuser_url)
    with engine.begin() as holder:
        holder.execute(text("SELECT FROM catalog.stock WHERE product_id = :id FOR UPDATE"), {"id": lamp["id"]})
        assert till.service.expire_orders() == 1
    engine.dispose()
    assert [till.read(buyer, order)["status"] for order in (stuck, free)] == ["pending", "expired"]
    assert till.service.expire_orders() == 1


def test_a_run_expires_more_than_a_portion(till: Till) -> None:
    buyer, lamp = till.shop.person(), till.shop.product(stock=1_000)
    orders = [till.order(buyer, (lamp, 1)) for _ in range(102)]
    till.shop.query("UPDATE ordering.orders SET expires_at = now() - interval '1 s' RETURNING id")
    assert till.service.expire_orders() == len(orders)
    assert till.service.expire_orders() == 0


def test_messages_are_known_again_for_thirty_days(till: Till) -> None:
    till.shop.query(
        "INSERT INTO ordering.payment_messages (provider, event_id, created_at)"
        " VALUES ('sandbox', 'old', now() - interval '30 days 1 minute'), ('sandbox', 'young', now() - interval '29 days')"
        " RETURNING event_id"
    )
    assert till.service.delete_old_messages() == 1
    assert till.shop.query("SELECT event_id FROM ordering.payment_messages") == [("young",)]


def test_many_old_messages_go_in_portions_and_the_next_run_goes_on(till: Till) -> None:
    till.shop.query(
        "INSERT INTO ordering.payment_messages (provider, event_id, created_at)"
        " SELECT 'sandbox', n, now() - interval '60 days' FROM generate_series(1, 10001) AS n RETURNING 1"
    )
    assert [till.service.delete_old_messages() for _ in range(3)] == [10_000, 1, 0]
