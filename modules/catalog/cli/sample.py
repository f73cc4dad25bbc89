"""The sample catalogue: what a fresh shop has on its shelves, so that there is something to look at."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from catalog.cli.reading import ProductFile
from catalog.service import BadLine, DatabaseCatalogService, ProductFilter

FILE: Final = "sample_products.csv"


def load_sample(service: DatabaseCatalogService) -> None:
    """Import the sample, unless the shop has any product: what was sold or changed since stays so."""
    if service.list_products(where=ProductFilter(status=None), sort="newest", after=None, limit=1):
        return
    with files("catalog.cli").joinpath(FILE).open("rb") as source:
        sample = ProductFile(source, FILE)
        service.import_products(lines=sample, describes=sample.describes, report=_refuse)


def _refuse(bad: BadLine) -> None:
    raise AssertionError(f"{FILE}, {bad}")
