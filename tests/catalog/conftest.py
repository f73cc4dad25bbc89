"""What tests of the catalog may ask for, besides the real application (`shop`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, NullPool, create_engine
from tests.catalog.factories import LOW_STOCK, Shelf
from tests.catalog.files import Files
from tests.catalog.http import Api
from tests.shop_fixtures import Shop

from catalog.service import DatabaseCatalogService
from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.pure.clock import SystemClock


@pytest.fixture
def catalog(engines: Engines) -> DatabaseCatalogService:
    """The service on a database of its own, the wall on."""
    database = engines.database("catalog")
    clock = SystemClock()
    return DatabaseCatalogService(
        database=database, events=Outbox(database, clock), clock=clock, currency="GBP", low_stock=LOW_STOCK
    )


@pytest.fixture
def superuser(superuser_url: URL) -> Iterator[Engine]:
    engine = create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def shelf(catalog: DatabaseCatalogService, superuser: Engine) -> Iterator[Shelf]:
    """Products put on the shelf in one line each, and looks behind the service. Afterwards the ledger and the
    reservations have to agree."""
    shelf = Shelf(catalog, superuser)
    yield shelf
    assert shelf.unbalanced() == []
    assert shelf.held_wrong() == []


@pytest.fixture
def admin(shop: Shop) -> Api:
    return Api(shop, shop.admin())


@pytest.fixture
def public(shop: Shop) -> Api:
    return Api(shop, None)


@pytest.fixture
def person(shop: Shop) -> Api:
    """Signed in, without any role."""
    return Api(shop, shop.person())


@pytest.fixture
def files(shelf: Shelf, tmp_path: Path) -> Files:
    return Files(shelf.catalog, tmp_path)
