"""What the service does for its own router and commands, where HTTP does not show it."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat

import pytest
from tests.catalog.factories import Shelf

from catalog.interface import ManualReason, ProductStatus
from catalog.service import DatabaseCatalogService, NewProduct, products
from kernel.database.call import run_call
from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.pure.clock import SystemClock
from kernel.pure.errors import Conflict


def test_a_generated_sku_that_is_taken_is_no_concern_of_the_caller(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.product(sku="P-TAKEN")
    skus = chain(repeat("P-TAKEN", 2), ["P-FREE"])
    monkeypatch.setattr(products, "_generate_sku", lambda: next(skus))
    new = NewProduct(name="Lamp", price=Decimal(1))
    assert run_call(lambda: shelf.catalog.create_product(new=new)).value.sku == "P-FREE"


def test_each_product_keeps_the_currency_of_the_day_it_came(shelf: Shelf, engines: Engines) -> None:
    lamp = shelf.product()
    database = engines.database("catalog")
    clock = SystemClock()
    events = Outbox(database, clock)
    other = DatabaseCatalogService(database=database, events=events, clock=clock, currency="EUR", low_stock=5)
    changed = other.change_product(product_id=lamp.id, versions=None, changes={"price": Decimal("2.00")})
    assert changed.value.currency == "GBP"
    assert other.create_product(new=NewProduct(name="Mug", price=Decimal(1))).value.currency == "EUR"


def test_an_error_of_the_caller_takes_a_reservation_back(shelf: Shelf, engines: Engines) -> None:
    lamp = shelf.product(stock=5)
    with pytest.raises(Conflict), engines.database("ordering").transaction():
        shelf.catalog.move_stock(product_id=lamp.id, quantity=3, reason=ManualReason.RESTOCK, reference="manual:1")
        raise Conflict("No.")
    assert shelf.stock(lamp) == 5


def test_archiving_by_an_edit_is_announced_with_the_edit_or_not_at_all(shelf: Shelf, engines: Engines) -> None:
    lamp = shelf.product()
    with pytest.raises(Conflict), engines.database("ordering").transaction():
        shelf.catalog.change_product(product_id=lamp.id, versions=None, changes={"status": ProductStatus.ARCHIVED})
        raise Conflict("No.")
    assert shelf.events() == []
