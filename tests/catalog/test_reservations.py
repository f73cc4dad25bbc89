"""Reservations in the shop's own terms: what is announced, what is swept, what deleting leaves, what older code left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.catalog.factories import LOW_STOCK, Shelf

from catalog.interface import ManualReason, Product, ProductStatus, ReferenceTaken, ReservationGone, StockLine
from catalog.module import module
from catalog.service.reservations import GRACE
from catalog.settings import load_low_stock
from kernel.database.engines import Engines
from kernel.pure.errors import Conflict
from kernel.settings import SettingsError


def low(*products: Product) -> Sequence[str]:
    return [f"catalog.StockRanLow product:{product.id}" for product in products]


class TestRunningLow:
    def test_is_announced_when_the_threshold_is_crossed_and_not_below_it(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=LOW_STOCK + 2)
        shelf.reserve("order:1", (lamp, 1))
        assert shelf.events() == []
        for n in range(2, 6):
            shelf.reserve(f"order:{n}", (lamp, 1))
        assert shelf.events() == low(lamp)
        assert shelf.query("SELECT payload ->> 'sku', payload ->> 'available' FROM kernel.outbox") == [
            (lamp.sku, str(LOW_STOCK))
        ]

    def test_is_announced_again_after_it_was_above(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=LOW_STOCK + 1)
        shelf.reserve("order:1", (lamp, 1))
        shelf.catalog.release(reference="order:1")
        shelf.reserve("order:2", (lamp, 3))
        assert shelf.events() == low(lamp, lamp)

    def test_is_announced_for_each_product_of_an_order(self, shelf: Shelf) -> None:
        lamp, mug, rug = (shelf.product(stock=LOW_STOCK + n) for n in (1, 1, 10))
        shelf.reserve("order:1", (mug, 1), (lamp, 6), (rug, 1))
        assert shelf.events() == low(mug, lamp)

    def test_paying_and_repeating_announce_nothing_more(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=LOW_STOCK + 1)
        shelf.reserve("order:1", (lamp, 1))
        shelf.reserve("order:1", (lamp, 1))
        shelf.catalog.confirm(reference="order:1")
        assert shelf.events() == low(lamp)

    def test_damage_announces_it_too_but_not_of_what_is_not_for_sale(self, shelf: Shelf) -> None:
        lamp, draft = shelf.product(stock=9), shelf.product(stock=9, status=ProductStatus.DRAFT)
        for product in (lamp, draft):
            shelf.catalog.move_stock(
                product_id=product.id, quantity=-4, reason=ManualReason.DAMAGE, reference=f"manual:{product.id}"
            )
        assert shelf.events() == low(lamp)

    def test_an_order_that_fails_announces_nothing(self, shelf: Shelf, engines: Engines) -> None:
        lamp = shelf.product(stock=LOW_STOCK + 1)
        with pytest.raises(Conflict), engines.database("ordering").transaction():
            shelf.reserve("order:1", (lamp, 1))
            raise Conflict("No.")
        assert shelf.events() == []

    @pytest.mark.parametrize("value", ["-1", "many", "1.5", "٣", "1000000001", "9" * 5000])
    def test_the_threshold_is_a_count(self, value: str) -> None:
        with pytest.raises(SettingsError, match="EMPORIUM_LOW_STOCK must be a whole number"):
            load_low_stock({"EMPORIUM_LOW_STOCK": value})

    def test_the_threshold_is_five_unless_set(self) -> None:
        assert (load_low_stock({}), load_low_stock({"EMPORIUM_LOW_STOCK": "0"})) == (5, 0)


class TestSweep:
    def test_lets_go_of_what_nobody_came_back_for(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(stock=10), shelf.product(stock=10)
        late = datetime.now(UTC) - GRACE - timedelta(seconds=1)
        shelf.reserve("order:1", (lamp, 3), (mug, 1), until=late)
        shelf.reserve("order:2", (lamp, 2), until=late)
        assert shelf.catalog.release_expired() == 2
        assert (shelf.counts(lamp), shelf.counts(mug)) == ((10, 0), (10, 0))
        with pytest.raises(ReservationGone):
            shelf.catalog.confirm(reference="order:1")

    def test_leaves_what_has_just_expired_to_its_owner(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        shelf.reserve("order:1", (lamp, 3), until=datetime.now(UTC) - GRACE + timedelta(minutes=1))
        assert shelf.catalog.release_expired() == 0
        shelf.catalog.confirm(reference="order:1")

    def test_leaves_what_was_paid(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        shelf.reserve("order:1", (lamp, 3), until=datetime.now(UTC) - timedelta(days=9))
        shelf.catalog.confirm(reference="order:1")
        assert shelf.catalog.release_expired() == 0
        assert shelf.counts(lamp) == (7, 0)

    def test_goes_by_portions_the_oldest_first(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        for n in range(3):
            shelf.reserve(f"order:{n}", (lamp, 1), until=datetime.now(UTC) - timedelta(days=1 + n))
        assert [shelf.catalog.release_expired(2) for _ in range(3)] == [2, 1, 0]
        assert shelf.counts(lamp) == (10, 0)

    def test_runs_by_itself(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        shelf.reserve("order:1", (lamp, 1), until=datetime.now(UTC) - timedelta(days=1))
        [job] = module.jobs
        job.run(shelf.catalog)
        assert shelf.counts(lamp) == (10, 0)

    def test_an_index_leads_to_it(self, shelf: Shelf) -> None:
        shelf.execute(
            "INSERT INTO catalog.reservations (reference, status)"
            " SELECT 'order:' || n, 'confirmed' FROM generate_series(1, 5000) n"
        )
        shelf.execute("VACUUM ANALYZE catalog.reservations")
        [*plan] = shelf.query("EXPLAIN SELECT reference FROM catalog.reservations WHERE status = 'held' AND held_until < now()")
        assert "ix_reservations_held" in str(plan)


class TestDelete:
    def test_a_reserved_product_is_archived_and_its_reservation_lives_on(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(stock=5), shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 2))
        shelf.reserve("order:2", (mug, 2))
        for product in (lamp, mug):
            shelf.catalog.delete_product(product_id=product.id)
            assert shelf.read(product).status == ProductStatus.ARCHIVED
        shelf.catalog.release(reference="order:1")
        shelf.catalog.confirm(reference="order:2")
        assert (shelf.counts(lamp), shelf.counts(mug)) == ((5, 0), (3, 0))

    def test_a_product_that_was_reserved_once_is_archived(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 2))
        shelf.catalog.release(reference="order:1")
        shelf.catalog.delete_product(product_id=lamp.id)
        assert shelf.read(lamp).status == ProductStatus.ARCHIVED

    def test_goods_of_an_archived_product_can_come_back(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 2))
        shelf.catalog.confirm(reference="order:1")
        shelf.catalog.delete_product(product_id=lamp.id)
        shelf.catalog.restock(reference="refund:1", lines=[StockLine(product_id=lamp.id, quantity=2)])
        assert shelf.counts(lamp) == (5, 0)


class TestUnitsSold:
    def paid(self, shelf: Shelf, *lines: tuple[int, int]) -> None:
        sold = [StockLine(product_id=product_id, quantity=quantity) for product_id, quantity in lines]
        shelf.catalog.count_units_sold(lines=sold)

    def test_grow_with_each_paid_order(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(), shelf.product()
        self.paid(shelf, (lamp.id, 2), (mug.id, 1))
        self.paid(shelf, (lamp.id, 3), (999_999_999, 1))
        assert (shelf.read(lamp).units_sold, shelf.read(mug).units_sold) == (5, 1)
        assert shelf.read(lamp).version == 1

    def test_do_not_fall_when_goods_come_back(self, shelf: Shelf) -> None:
        lamp = shelf.product()
        self.paid(shelf, (lamp.id, 2))
        shelf.catalog.restock(reference="refund:1", lines=[StockLine(product_id=lamp.id, quantity=2)])
        assert shelf.read(lamp).units_sold == 2


class TestOlderCode:
    """What the code before reservations wrote, and may go on writing while a new release comes in: it took at once."""

    def take(self, shelf: Shelf, reference: str, product: Product, quantity: int) -> None:
        shelf.execute("UPDATE catalog.stock SET quantity = quantity - :q WHERE product_id = :p", q=quantity, p=product.id)
        shelf.execute(
            "INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity) VALUES (:p, :r, 'sale', -:q)",
            p=product.id,
            r=reference,
            q=quantity,
        )
        shelf.execute("INSERT INTO catalog.reservations (reference) VALUES (:r)", r=reference)

    def test_a_release_brings_it_back_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        self.take(shelf, "order:1", lamp, 5)
        assert shelf.query("SELECT sold_out FROM catalog.stock") == [(True,)]
        for _ in range(2):
            shelf.catalog.release(reference="order:1")
        assert shelf.counts(lamp) == (5, 0)
        assert shelf.movements(lamp) == [("initial", 5), ("sale", -5), ("release", 5)]
        with pytest.raises(ReservationGone):
            shelf.catalog.confirm(reference="order:1")

    def test_a_confirmation_leaves_it_sold(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        self.take(shelf, "order:1", lamp, 2)
        for _ in range(2):
            shelf.catalog.confirm(reference="order:1")
        shelf.catalog.release(reference="order:1")
        assert shelf.counts(lamp) == (3, 0)

    def test_its_reference_is_taken(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        self.take(shelf, "order:1", lamp, 2)
        with pytest.raises(ReferenceTaken):
            shelf.reserve("order:1", (lamp, 2))

    def test_it_cannot_take_what_is_reserved(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 4))
        with pytest.raises(Exception, match="ck_stock_reserved_in_range"):
            self.take(shelf, "order:2", lamp, 2)
        assert shelf.counts(lamp) == (5, 4)
