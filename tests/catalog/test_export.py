"""What an export writes: a file that an import reads, with nothing lost and nothing changed on the way."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalog.factories import Shelf
from tests.catalog.files import Files, told

from catalog.interface import ProductStatus

AWKWARD = [
    'A "quoted" word',
    "a, b; c\td",
    "two\nlines\n\nand more",
    "=1+1",
    "\\N",
    "\\.",
    "\\",
    "'",
    '"',
    '""',
    "é💡—\u202e",
    "NULL",
    ",",
    "#",
    "x" * 10_000,
    '"' * 10_000,
]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_has_a_line_per_product_with_the_columns_of_the_import(shelf: Shelf, files: Files) -> None:
    shelf.product(sku="LAMP-01", name="Lamp", price="5.00", stock=7, description="Brass, 40 cm")
    shelf.product(sku="MUG-01", name="Mug", price="1.50", stock=0, status=ProductStatus.DRAFT)
    assert files.export() == (
        'sku,name,description,price,stock,status\nLAMP-01,Lamp,"Brass, 40 cm",5.00,7,published\nMUG-01,Mug,,1.50,0,draft\n'
    )


@pytest.mark.parametrize("status", ProductStatus)
def test_of_one_status_has_only_that(shelf: Shelf, files: Files, status: ProductStatus) -> None:
    for each in ProductStatus:
        shelf.product(sku=each.value, status=each)
    assert [row["sku"] for row in rows_of(files.export("--status", status.value))] == [status.value]


def test_of_an_unknown_status_is_refused(files: Files) -> None:
    assert files.run("export", "--status", "sold").code == 2


def test_of_an_empty_shop_is_a_header_that_can_be_imported(files: Files) -> None:
    text = files.export()
    assert text == "sku,name,description,price,stock,status\n"
    assert files.bring(text).code == 0


def test_goes_to_the_standard_output_without_a_file(shelf: Shelf, files: Files) -> None:
    shelf.product(name="Café")
    assert files.run("export").out == files.run("export", "-").out == files.export()


def test_imported_again_changes_nothing(shelf: Shelf, files: Files) -> None:
    for text in AWKWARD:
        shelf.product(name=text.replace("\n", " ").replace("\t", " ")[:200].strip(), description=text)
    shelf.product(description=None, stock=0, status=ProductStatus.ARCHIVED)
    before = shelf.query("SELECT * FROM catalog.products ORDER BY id")
    outcome = files.bring(files.export())
    assert (outcome.code, told(outcome)) == (0, f"0 created, 0 changed, {len(AWKWARD) + 1} unchanged, 0 bad.")
    assert shelf.query("SELECT * FROM catalog.products ORDER BY id") == before


def test_brings_an_empty_shop_to_the_same_catalogue(shelf: Shelf, files: Files) -> None:
    for n, text in enumerate(AWKWARD):
        shelf.product(description=text, stock=n)
    text = files.export()
    shelf.execute("TRUNCATE catalog.products, catalog.stock, catalog.stock_movements, catalog.reservation_lines")
    assert files.bring(text).code == 0
    assert files.export() == text


TEXT = st.text(
    st.one_of(st.characters(exclude_categories=("Cs", "Cc")), st.sampled_from("\",\n\\;'")), min_size=1, max_size=40
).map(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(descriptions=st.lists(TEXT, min_size=1, max_size=8))
def test_any_text_comes_back_as_it_went(shelf: Shelf, files: Files, descriptions: list[str]) -> None:
    for description in descriptions:
        shelf.product(description=description or None)
    outcome = files.bring(files.export())
    assert (outcome.code, " 0 changed," in outcome.out) == (0, True), outcome


def test_an_export_that_fails_leaves_the_one_of_yesterday(shelf: Shelf, files: Files) -> None:
    shelf.product(sku="LAMP-01")
    path = files.directory / "export.csv"
    files.run("export", path)
    yesterday = path.read_text()
    shelf.execute("ALTER TABLE catalog.products RENAME COLUMN price TO cost")
    try:
        with pytest.raises(Exception, match="price"):
            files.run("export", path)
    finally:
        shelf.execute("ALTER TABLE catalog.products RENAME COLUMN cost TO price")
    assert path.read_text() == yesterday
    assert list(files.directory.iterdir()) == [path]


def test_a_device_is_written_directly(shelf: Shelf, files: Files) -> None:
    shelf.product()
    assert files.run("export", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_a_directory_is_told(files: Files) -> None:
    outcome = files.run("export", files.directory)
    assert (outcome.code, outcome.err) == (1, f"{files.directory} is a directory, where a file is expected.\n")


def test_a_place_that_is_not_there_is_told(files: Files) -> None:
    assert files.run("export", files.directory / "none" / "export.csv").code == 1
