"""The orders of accounts that were closed: the pending ones end, and no address stays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import URL, create_engine, text
from tests.ordering.conftest import ADDRESS, Till

from kernel.pure.principal import Principal


def close(till: Till, *buyers: Principal) -> None:
    for buyer in buyers:
        till.service.forget_user(user_id=buyer.user_id)


def states(till: Till, *orders: dict[str, Any]) -> list[tuple[str, bool]]:
    """The status of each, and whether it has an address."""
    read = [till.read(till.shop.admin(), order) for order in orders]
    return [(order["status"], order["shipping_address"] is not None) for order in read]


def time_passes(till: Till, minutes: int) -> None:
    till.shop.query(
        "UPDATE ordering.closed_accounts SET closed_at = closed_at - make_interval(mins => :minutes),"
        " next_look_at = next_look_at - make_interval(mins => :minutes) RETURNING user_id",
        minutes=minutes,
    )


def remembered(till: Till) -> int:
    ((number,),) = till.shop.query("SELECT count(*) FROM ordering.closed_accounts")
    return int(number)


def test_pending_orders_are_cancelled_and_addresses_erased(till: Till) -> None:
    buyer, other = till.shop.person(), till.shop.person()
    lamp = till.shop.product(stock=10)
    pending, paid, strangers = till.order(buyer, (lamp, 3)), till.paid(buyer, (lamp, 1)), till.order(other, (lamp, 2))
    close(till, buyer, buyer)
    assert till.service.forget_closed() == 1
    assert states(till, pending, paid, strangers) == [("cancelled", False), ("paid", False), ("pending", True)]
    assert till.events(pending) == ["OrderPlaced", "OrderCancelled"]
    assert till.read(till.shop.admin(), pending)["history"][-1]["by"] == "system"
    assert till.stock(lamp) == (9, 2)
    assert till.service.forget_closed() == 0


def test_closing_an_account_holds_no_stock_however_many_orders_it_has(till: Till) -> None:
    """Ended in the listener's transaction, the first order's products would be held until the last order's end."""
    buyer, lamp = till.shop.person(), till.shop.product(stock=1_000)
    orders = [till.order(buyer, (lamp, 1)) for _ in range(101)]
    with till.service._database.transaction():
        close(till, buyer)
        held = "SELECT quantity FROM catalog.stock WHERE product_id = :id FOR UPDATE NOWAIT"
        assert till.shop.query(held, id=lamp["id"]) == [(1_000,)]
    assert [till.service.forget_closed() for _ in range(3)] == [1, 1, 0]
    assert {status for status, _ in states(till, *orders)} == {"cancelled"}
    assert till.stock(lamp) == (1_000, 0)


def test_an_order_that_was_under_way_is_forgotten_too(till: Till) -> None:
    buyer = till.shop.person()
    close(till, buyer)
    assert till.service.forget_closed() == 1
    late = till.order(buyer)
    time_passes(till, 9)
    assert till.service.forget_closed() == 0
    time_passes(till, 1)
    assert (till.service.forget_closed(), remembered(till)) == (1, 0)
    assert states(till, late) == [("cancelled", False)]


def test_an_order_whose_stock_somebody_holds_comes_up_again(till: Till, superuser_url: URL) -> None:
    buyer, other, lamp = till.shop.person(), till.shop.person(), till.shop.product()
    stuck, free, others = till.order(buyer, (lamp, 1)), till.order(buyer), till.order(other)
    close(till, buyer, other)
    engine = create_engine(superuser_url)
    with engine.begin() as holder:
        holder.execute(text("SELECT FROM catalog.stock WHERE product_id = :id FOR UPDATE"), {"id": lamp["id"]})
        assert till.service.forget_closed() == 2
    engine.dispose()
    assert states(till, stuck, free, others) == [("pending", False), ("cancelled", False), ("cancelled", False)]
    assert till.service.forget_closed() == 0
    time_passes(till, 1)
    assert till.service.forget_closed() == 1
    assert states(till, stuck) == [("cancelled", False)]


def test_many_addresses_go_in_portions(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordering.service.closing._ADDRESSES", 2)
    buyer = till.shop.person()
    orders = [till.order(buyer, shipping_address=address) for address in (ADDRESS, None, ADDRESS, ADDRESS, ADDRESS)]
    close(till, buyer)
    till.service.forget_closed()
    assert states(till, *orders) == [("cancelled", False)] * 5


def test_money_on_its_way_for_a_closed_account_goes_back(till: Till) -> None:
    buyer = till.shop.person()
    order = till.order(buyer)
    till.pay(buyer, order, "tok_fail_after_charge")
    close(till, buyer)
    till.service.forget_closed()
    till.reconcile()
    assert till.charges(order) == 1
    assert till.kept(order) == 0
    assert till.listed(till.shop.admin(), order, "/payments")[0]["status"] == "reversed"
