"""The sample catalogue looks like a department store, and is loaded into an empty shop only."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.catalog.factories import Shelf

from catalog.cli import load_sample
from catalog.interface import Product, ProductStatus
from catalog.service import ProductFilter


@pytest.fixture
def sample(shelf: Shelf) -> list[Product]:
    load_sample(shelf.catalog)
    everything = ProductFilter(status=None)
    return list(shelf.catalog.list_products(where=everything, sort="name", after=None, limit=100))


def test_has_about_fifty_products_of_many_departments(sample: list[Product]) -> None:
    assert 45 <= len(sample) <= 60
    departments = Counter(product.sku.split("-")[0] for product in sample)
    assert len(departments) >= 7
    assert min(departments.values()) >= 3


def test_says_one_sentence_about_each_product_at_a_sensible_price(sample: list[Product]) -> None:
    assert len({product.name for product in sample}) == len(sample)
    for product in sample:
        assert product.description is not None
        assert product.description.endswith(".")
        assert 1 <= product.price <= 200


def test_has_a_draft_and_some_products_that_are_sold_out(sample: list[Product]) -> None:
    statuses = Counter(product.status for product in sample)
    assert statuses == {ProductStatus.PUBLISHED: len(sample) - 1, ProductStatus.DRAFT: 1}
    assert 3 <= sum(product.stock == 0 for product in sample) <= 6


def test_loading_it_again_changes_nothing(shelf: Shelf, sample: list[Product]) -> None:
    sold = next(product for product in sample if product.stock > 3)
    shelf.reserve("order:1", (sold, 3))
    before = shelf.query("SELECT * FROM catalog.stock ORDER BY product_id")
    load_sample(shelf.catalog)
    assert shelf.query("SELECT * FROM catalog.stock ORDER BY product_id") == before
    assert shelf.stock(sold) == sold.stock - 3


def test_a_shop_with_any_product_gets_none_of_it(shelf: Shelf) -> None:
    shelf.product(sku="OURS", status=ProductStatus.DRAFT)
    load_sample(shelf.catalog)
    assert shelf.skus() == ["OURS"]
