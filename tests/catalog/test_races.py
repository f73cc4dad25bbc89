"""Races for the same products, decided by the database: nothing is sold twice, lost, or counted wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import cycle, islice
from threading import Event
from uuid import uuid4

import pytest
from tests.catalog.factories import Shelf, at_once, in_a_quarter

from catalog.crud import importing
from catalog.interface import ManualReason, Product, ProductNotFound, ProductStatus, StockLine
from catalog.service import BadLine, DatabaseCatalogService, NewProduct, ProductLine
from kernel.database.call import authenticated, run_call
from kernel.database.engines import Engines
from kernel.database.unit_of_work import Database

Call = Callable[[], object]


@pytest.fixture
def ordering(engines: Engines) -> Database:
    """A neighbour that calls the catalog inside a transaction of its own."""
    return engines.database("ordering")


def hold(catalog: DatabaseCatalogService, reference: str, *lines: tuple[Product, int]) -> Call:
    wanted = [StockLine(product_id=product.id, quantity=quantity) for product, quantity in lines]
    return partial(catalog.reserve, reference=reference, lines=wanted, until=in_a_quarter())


def buy(catalog: DatabaseCatalogService, reference: str, *lines: tuple[Product, int]) -> Call:
    """Reserve and, in a transaction of its own, confirm."""

    def both() -> None:
        for call in (hold(catalog, reference, *lines), partial(catalog.confirm, reference=reference)):
            with authenticated(None):
                run_call(call)

    return both


def outcomes(results: Sequence[object]) -> Counter[str]:
    """How many calls ended with which error; without one: `ok`."""
    return Counter(type(result).__name__ if isinstance(result, Exception) else "ok" for result in results)


class TestSales:
    def test_sixteen_buyers_of_the_last_unit_are_one_sale_and_fifteen_conflicts(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=1)
        results = at_once([hold(shelf.catalog, f"order:{n}", (lamp, 1)) for n in range(16)])
        assert outcomes(results) == {"ok": 1, "OutOfStock": 15}
        assert shelf.stock(lamp) == 0

    def test_every_unit_is_sold_and_none_twice(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=20)
        results = at_once([hold(shelf.catalog, f"order:{n}", (lamp, 3)) for n in range(16)])
        assert outcomes(results) == {"ok": 6, "OutOfStock": 10}
        assert shelf.stock(lamp) == 2

    def test_two_products_taken_in_opposite_orders_do_not_deadlock(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(stock=1000), shelf.product(stock=1000)
        forth, back = [(lamp, 1), (mug, 1)], [(mug, 1), (lamp, 1)]
        turns = islice(cycle([forth, back]), 16)

        def ten_times(n: int, lines: list[tuple[Product, int]]) -> None:
            for turn in range(10):
                hold(shelf.catalog, f"order:{n}-{turn}", *lines)()

        results = at_once([partial(ten_times, n, lines) for n, lines in enumerate(turns)])
        assert outcomes(results) == {"ok": 16}
        assert (shelf.stock(lamp), shelf.stock(mug)) == (840, 840)
        assert shelf.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]

    def test_a_partial_shortage_takes_nothing_while_others_hold(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(stock=100), shelf.product(stock=1)
        results = at_once([hold(shelf.catalog, f"order:{n}", (lamp, 1), (mug, 1)) for n in range(8)])
        assert outcomes(results) == {"ok": 1, "OutOfStock": 7}
        assert (shelf.stock(lamp), shelf.stock(mug)) == (99, 0)


class TestReferences:
    @pytest.mark.parametrize("stock", [100, 2])
    def test_twins_of_one_reference_take_once_and_both_get_the_answer(self, shelf: Shelf, stock: int) -> None:
        lamp = shelf.product(stock=stock)
        results = at_once([hold(shelf.catalog, "order:1", (lamp, 2))] * 8)
        assert outcomes(results) == {"ok": 8}
        assert shelf.stock(lamp) == stock - 2

    def test_one_reference_with_two_different_baskets_takes_one_of_them(self, shelf: Shelf) -> None:
        lamp, mug = shelf.product(stock=10), shelf.product(stock=10)
        for n in range(8):
            results = at_once([hold(shelf.catalog, f"order:{n}", (product, 1)) for product in (lamp, mug)])
            assert outcomes(results) == {"ok": 1, "ReferenceTaken": 1}
        assert shelf.stock(lamp) + shelf.stock(mug) == 12

    def test_eight_releases_give_back_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        hold(shelf.catalog, "order:1", (lamp, 4))()
        results = at_once([partial(shelf.catalog.release, reference="order:1")] * 8)
        assert outcomes(results) == {"ok": 8}
        assert shelf.stock(lamp) == 10

    def test_releases_and_sales_at_once_keep_the_ledger_right(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=8)
        for n in range(4):
            hold(shelf.catalog, f"order:old-{n}", (lamp, 2))()
        give = [partial(shelf.catalog.release, reference=f"order:old-{n}") for n in range(4)]
        take = [hold(shelf.catalog, f"order:new-{n}", (lamp, 1)) for n in range(8)]
        results = at_once([*give, *take])
        assert shelf.stock(lamp) == 8 - outcomes(results[4:])["ok"]


class TestDelete:
    def test_delete_against_a_sale_leaves_it_sold_and_archived_or_gone_and_refused(self, shelf: Shelf) -> None:
        seen = Counter[str]()
        for n in range(20):
            lamp = shelf.product(stock=5)
            sold, deleted = at_once(
                [hold(shelf.catalog, f"order:{n}", (lamp, 1)), partial(shelf.catalog.delete_product, product_id=lamp.id)]
            )
            assert deleted is None
            if isinstance(sold, Exception):
                assert isinstance(sold, ProductNotFound)
                assert shelf.query("SELECT FROM catalog.products WHERE id = :id", id=lamp.id) == []
                seen["gone"] += 1
            else:
                assert shelf.read(lamp).status == ProductStatus.ARCHIVED
                assert shelf.counts(lamp) == (5, 1)
                seen["sold"] += 1
        assert seen.total() == 20

    def test_delete_waits_for_a_sale_that_is_not_committed_yet(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product(stock=5)
        sold = Event()

        def buy() -> None:
            with ordering.transaction():
                hold(shelf.catalog, "order:1", (lamp, 1))()
                sold.set()
                deleting.wait(0.3)

        deleting = Event()

        def delete() -> None:
            sold.wait(5)
            shelf.catalog.delete_product(product_id=lamp.id)
            deleting.set()

        assert outcomes(at_once([buy, delete])) == {"ok": 2}
        assert shelf.read(lamp).status == ProductStatus.ARCHIVED

    def test_a_sale_that_waits_for_a_delete_finds_no_product(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product(stock=5)
        deleted, buying = Event(), Event()

        def delete() -> None:
            with ordering.transaction():
                shelf.catalog.delete_product(product_id=lamp.id)
                deleted.set()
                buying.wait(0.3)

        def buy() -> None:
            deleted.wait(5)
            hold(shelf.catalog, "order:1", (lamp, 1))()

        assert outcomes(at_once([delete, buy])) == {"ok": 1, "ProductNotFound": 1}

    def test_eight_deletes_announce_the_end_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        hold(shelf.catalog, "order:1", (lamp, 1))()
        results = at_once([partial(shelf.catalog.delete_product, product_id=lamp.id)] * 8)
        assert outcomes(results) == {"ok": 8}
        assert shelf.events() == [f"catalog.ProductArchived product:{lamp.id}"]


class TestChanges:
    def test_one_of_eight_edits_of_the_same_version_wins(self, shelf: Shelf) -> None:
        lamp = shelf.product()
        edits = [
            partial(shelf.catalog.change_product, product_id=lamp.id, versions=frozenset({1}), changes={"name": f"Lamp {n}"})
            for n in range(8)
        ]
        assert outcomes(at_once(edits)) == {"ok": 1, "PreconditionFailed": 7}
        assert shelf.read(lamp).version == 2

    def test_edits_without_a_version_are_all_counted(self, shelf: Shelf) -> None:
        lamp = shelf.product()
        edits = [
            partial(shelf.catalog.change_product, product_id=lamp.id, versions=None, changes={"name": f"Lamp {n}"})
            for n in range(8)
        ]
        assert outcomes(at_once(edits)) == {"ok": 8}
        assert shelf.read(lamp).version == 9

    def test_eight_edits_that_archive_announce_it_once(self, shelf: Shelf) -> None:
        lamp = shelf.product()
        edits = [
            partial(
                shelf.catalog.change_product,
                product_id=lamp.id,
                versions=None,
                changes={"status": ProductStatus.ARCHIVED, "name": f"Lamp {n}"},
            )
            for n in range(8)
        ]
        assert outcomes(at_once(edits)) == {"ok": 8}
        assert shelf.events() == [f"catalog.ProductArchived product:{lamp.id}"]

    def test_an_edit_of_a_product_that_is_deleted_meanwhile_finds_none(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product()
        deleted, editing = Event(), Event()

        def delete() -> None:
            with ordering.transaction():
                shelf.catalog.delete_product(product_id=lamp.id)
                deleted.set()
                editing.wait(0.3)

        def edit() -> None:
            deleted.wait(5)
            shelf.catalog.change_product(product_id=lamp.id, versions=None, changes={"name": "Lamp"})

        assert outcomes(at_once([delete, edit])) == {"ok": 1, "ProductNotFound": 1}

    def test_one_of_eight_creations_with_the_same_sku_wins(self, shelf: Shelf) -> None:
        new = NewProduct(sku="LAMP-01", name="Lamp", price=Decimal(1))
        results = at_once([partial(shelf.catalog.create_product, new=new)] * 8)
        assert outcomes(results) == {"ok": 1, "SkuTaken": 7}

    def test_movements_by_hand_never_take_more_than_there_is(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=5)
        broken = [
            partial(
                shelf.catalog.move_stock, product_id=lamp.id, quantity=-1, reason=ManualReason.DAMAGE, reference=f"manual:{n}"
            )
            for n in range(8)
        ]
        assert outcomes(at_once(broken)) == {"ok": 5, "OutOfStock": 3}
        assert shelf.stock(lamp) == 0


class TestImports:
    def test_a_count_and_sales_at_once_lose_neither(self, shelf: Shelf) -> None:
        products = [shelf.product(stock=50) for _ in range(20)]
        counted = [ProductLine(line=n, sku=product.sku, stock=40) for n, product in enumerate(products, 2)]

        def count() -> object:
            return shelf.catalog.import_products(lines=counted, describes=False, report=refuse)

        sales = [
            buy(shelf.catalog, f"order:{n}", *[(product, 1) for product in (products if n % 2 else reversed(products))])
            for n in range(7)
        ]
        assert outcomes(at_once([count, *sales])) == {"ok": 8}
        for product in products:
            movements = shelf.movements(product)
            assert [quantity for reason, quantity in movements if reason == "sale"] == [-1] * 7
            counted_at = [reason for reason, _ in movements].index("count")
            # The count holds for the moment at which it was made.
            assert sum(quantity for _, quantity in movements[: counted_at + 1]) == 40

    def test_an_import_with_new_products_and_creations_at_once_make_each_product_once(self, shelf: Shelf) -> None:
        names = [f"NEW-{n}" for n in range(20)]
        lines = [ProductLine(line=n, sku=sku, name=sku, price=Decimal(1), stock=3) for n, sku in enumerate(names, 2)]

        def bring() -> object:
            return shelf.catalog.import_products(lines=lines, describes=False, report=refuse)

        def create(sku: str) -> object:
            return shelf.catalog.create_product(new=NewProduct(sku=sku, name=sku, price=Decimal(1), stock=3))

        results = at_once([bring, *[partial(create, sku) for sku in names[:7]]])
        assert not isinstance(results[0], Exception)
        assert set(outcomes(results[1:])) <= {"ok", "SkuTaken"}
        assert sorted(shelf.skus()) == sorted(names)

    def test_the_second_import_at_the_same_time_is_refused(self, shelf: Shelf) -> None:
        lamp = shelf.product()
        begun, tried = Event(), Event()

        def slow() -> object:
            def lines() -> Iterator[ProductLine]:
                begun.set()
                tried.wait(5)
                yield ProductLine(line=2, sku=lamp.sku, stock=1)

            return shelf.catalog.import_products(lines=lines(), describes=False, report=refuse)

        def second() -> None:
            begun.wait(5)
            try:
                shelf.catalog.import_products(lines=[], describes=False, report=refuse)
            finally:
                tried.set()

        assert outcomes(at_once([slow, second])) == {"ok": 1, "ImportRunning": 1}


class TestNobodyWaits:
    """What holds a product without touching its stock does not hold up its sales."""

    def test_a_sale_passes_an_edit_that_is_not_committed_yet(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product(stock=5)
        with ordering.transaction():
            shelf.catalog.change_product(product_id=lamp.id, versions=None, changes={"price": Decimal(1)})
            assert outcomes(at_once([hold(shelf.catalog, "order:1", (lamp, 1))])) == {"ok": 1}

    def test_a_sale_passes_an_import_that_finds_the_stock_as_it_is(self, shelf: Shelf, engines: Engines) -> None:
        lamp, mug = shelf.product(stock=5), shelf.product(stock=5)
        import_id = uuid4()
        lines = [(import_id, lamp.sku, 2, None, None, "7.00", 5, None), (import_id, mug.sku, 3, "New", None, None, None, None)]
        with engines.database("catalog").transaction() as session:
            importing.stage_lines(session, lines)
            done = importing.apply_lines(session, import_id, reference="import:1", currency="GBP", describes=False, low_stock=5)
            assert done.changed == 2
            assert outcomes(at_once([hold(shelf.catalog, "order:1", (lamp, 1), (mug, 1))])) == {"ok": 1}
        assert (shelf.read(lamp).price, shelf.stock(lamp)) == (Decimal(7), 4)


def refuse(bad: BadLine) -> None:
    raise AssertionError(bad)
