"""What an import does with good lines: create, update, count, and leave alone what is so already."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.catalog.factories import Shelf
from tests.catalog.files import Files, told

from catalog.interface import ProductStatus

HEADER = "sku,name,description,price,stock,status\n"


class TestNewProducts:
    def test_are_created_with_everything_that_the_line_says(self, shelf: Shelf, files: Files) -> None:
        outcome = files.bring(HEADER + 'LAMP-01,Desk lamp,"Brass, 40 cm",19.9,7,draft\n')
        assert (outcome.code, told(outcome)) == (0, "1 created, 0 changed, 0 unchanged, 0 bad.")
        lamp = shelf.by_sku("LAMP-01")
        assert (lamp.name, lamp.description, lamp.price, lamp.stock) == ("Desk lamp", "Brass, 40 cm", Decimal("19.90"), 7)
        assert (lamp.status, lamp.currency, lamp.version) == (ProductStatus.DRAFT, "GBP", 1)

    def test_need_a_sku_a_name_and_a_price_only(self, shelf: Shelf, files: Files) -> None:
        files.bring("sku,name,price\nLAMP-01,Desk lamp,1\n")
        lamp = shelf.by_sku("LAMP-01")
        assert (lamp.description, lamp.stock, lamp.status) == (None, 0, ProductStatus.PUBLISHED)

    def test_get_their_stock_as_an_initial_movement_of_the_import(self, shelf: Shelf, files: Files) -> None:
        files.bring("sku,name,price,stock\nA,a,1,7\nB,b,1,0\nC,c,1,\n")
        rows = shelf.query("SELECT reason, quantity, reference FROM catalog.stock_movements")
        [(reason, quantity, reference)] = rows
        assert (reason, quantity) == ("initial", 7)
        assert reference.startswith("import:")

    def test_come_in_the_order_of_the_file(self, shelf: Shelf, files: Files) -> None:
        skus = [f"S-{n * 7919 % 100}" for n in range(100)]
        files.bring("sku,name,price\n" + "".join(f"{sku},x,1\n" for sku in skus))
        assert shelf.skus() == skus

    def test_columns_may_stand_in_any_order_and_case(self, shelf: Shelf, files: Files) -> None:
        files.bring(" Price ,STOCK,Name,sku\n2.50,3,Lamp,LAMP-01\n")
        lamp = shelf.by_sku("LAMP-01")
        assert (lamp.price, lamp.stock, lamp.name) == (Decimal("2.50"), 3, "Lamp")

    @pytest.mark.parametrize("encoded", ["\ufeff", ""])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_every_kind_of_line_end_is_read_with_and_without_a_byte_order_mark(
        self, shelf: Shelf, files: Files, encoded: str, end: str
    ) -> None:
        outcome = files.bring(encoded + end.join(["sku,name,price", "A,Äpfel,1", "", "B,b,2", ",,"]))
        assert told(outcome) == "2 created, 0 changed, 0 unchanged, 0 bad."
        assert shelf.by_sku("A").name == "Äpfel"

    def test_quoted_cells_hold_commas_quotes_and_lines(self, shelf: Shelf, files: Files) -> None:
        files.bring('sku,name,price,description\nA,"A ""big"", red one",1,"First\r\nsecond\rthird\n\nlast"\nB,b,1,x\n')
        product = shelf.by_sku("A")
        assert product.name == 'A "big", red one'
        assert product.description == "First\nsecond\nthird\n\nlast"
        assert shelf.by_sku("B").description == "x"

    @pytest.mark.parametrize("text", ["\\N", "\\.", "a\\tb", "NULL", "%s", "a\tb", "💡", "';--", "{0}"])
    def test_text_that_means_something_to_others_is_only_text(self, shelf: Shelf, files: Files, text: str) -> None:
        files.bring(f'sku,name,price,description\nA,n,1,"{text}"\n')
        assert shelf.by_sku("A").description == text

    def test_the_same_limits_hold_as_over_http(self, shelf: Shelf, files: Files) -> None:
        files.bring(f"sku,name,price,stock,description\n{'S' * 64},{'n' * 200},99999999.99,1000000000,{'d' * 10_000}\n")
        [(sku, name, price, stock, size)] = shelf.query(
            "SELECT sku, name, price, quantity, length(description) FROM catalog.products JOIN catalog.stock ON product_id = id"
        )
        assert (len(sku), len(name), price, stock, size) == (64, 200, Decimal("99999999.99"), 1_000_000_000, 10_000)


class TestKnownProducts:
    def test_change_where_the_line_differs(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", name="Lamp", price="1.00", description="Old", stock=5)
        outcome = files.bring(HEADER + "LAMP-01,New lamp,New,2.00,5,draft\n")
        assert told(outcome) == "0 created, 1 changed, 0 unchanged, 0 bad."
        now = shelf.read(lamp)
        assert (now.name, now.description, now.price, now.status) == ("New lamp", "New", Decimal("2.00"), ProductStatus.DRAFT)
        assert (now.id, now.version, now.stock) == (lamp.id, 2, 5)
        assert now.updated_at > lamp.updated_at

    def test_stay_as_they_are_when_nothing_differs(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", name="Lamp", price="1.00", stock=5)
        outcome = files.bring(HEADER + "LAMP-01,Lamp,,1,5,published\n")
        assert told(outcome) == "0 created, 0 changed, 1 unchanged, 0 bad."
        assert shelf.read(lamp) == lamp
        assert shelf.movements(lamp) == [("initial", 5)]

    @pytest.mark.parametrize("column", ["name", "price", "stock", "status"])
    def test_keep_what_an_empty_cell_or_an_absent_column_does_not_say(self, shelf: Shelf, files: Files, column: str) -> None:
        lamp = shelf.product(sku="LAMP-01", description="Brass.", stock=5)
        files.bring(f"sku,{column}\nLAMP-01,\n")
        assert shelf.read(lamp) == lamp

    def test_lose_the_description_that_the_file_has_empty(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", description="Brass.")
        files.bring("sku,description\nLAMP-01,\n")
        assert shelf.read(lamp).description is None

    def test_change_in_one_column_only(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", description="Brass.", stock=5)
        files.bring("sku,price\nLAMP-01,7\n")
        now = shelf.read(lamp)
        assert (now.price, now.name, now.description, now.stock) == (Decimal(7), lamp.name, "Brass.", 5)

    @pytest.mark.parametrize(("count", "difference"), [(9, 4), (2, -3), (0, -5)])
    def test_a_count_that_differs_becomes_a_movement(self, shelf: Shelf, files: Files, count: int, difference: int) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=5)
        outcome = files.bring(f"sku,stock\nLAMP-01,{count}\n")
        assert told(outcome) == "0 created, 1 changed, 0 unchanged, 0 bad."
        assert shelf.movements(lamp) == [("initial", 5), ("count", difference)]
        now = shelf.read(lamp)
        assert (now.stock, now.version) == (count, 1)

    def test_a_count_is_a_new_version_of_the_stock(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=5)
        files.bring("sku,stock\nLAMP-01,6\n")
        assert shelf.catalog.read_product(product_id=lamp.id, published_only=True).etag == "1.2"

    def test_a_count_after_sales_brings_the_stock_to_the_count(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=5)
        shelf.reserve("order:1", (lamp, 2))
        shelf.catalog.confirm(reference="order:1")
        files.bring("sku,stock\nLAMP-01,5\n")
        assert shelf.movements(lamp) == [("initial", 5), ("sale", -2), ("count", 2)]

    def test_a_count_is_of_what_is_on_hand_reserved_units_included(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=9)
        shelf.reserve("order:1", (lamp, 2))
        files.bring("sku,stock\nLAMP-01,7\n")
        assert shelf.counts(lamp) == (7, 2)
        files.bring("sku,stock\nLAMP-01,2\n")
        assert shelf.counts(lamp) == (2, 2)

    def test_a_count_below_what_is_reserved_is_refused_with_its_reason(self, shelf: Shelf, files: Files) -> None:
        lamp, mug = shelf.product(sku="LAMP-01", stock=9), shelf.product(sku="MUG-01", stock=9)
        shelf.reserve("order:1", (lamp, 2), (mug, 1))
        told_as = ["Line 2, stock: 2 are reserved for orders, so there cannot be fewer on hand."]
        outcome = files.bring("sku,stock,name\nLAMP-01,1,Other\nMUG-01,8,\n")
        assert (outcome.code, outcome.bad_lines) == (1, told_as)
        assert (shelf.counts(lamp), shelf.counts(mug)) == ((9, 2), (9, 1))
        outcome = files.bring("sku,stock,name\nLAMP-01,1,Other\nMUG-01,8,\n", "--skip-bad-lines")
        assert (outcome.code, outcome.bad_lines) == (0, told_as)
        assert (shelf.counts(lamp), shelf.counts(mug)) == ((9, 2), (8, 1))
        assert shelf.read(lamp).name == lamp.name

    def test_what_is_exported_while_units_are_reserved_changes_nothing_when_it_comes_back(
        self, shelf: Shelf, files: Files
    ) -> None:
        lamp = shelf.product(stock=9)
        shelf.reserve("order:1", (lamp, 2))
        files.bring(files.export())
        assert shelf.movements(lamp) == [("initial", 9)]

    def test_a_count_that_leaves_few_is_announced_once(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=9)
        shelf.product(sku="MUG-01", stock=9, status=ProductStatus.DRAFT)
        shelf.reserve("order:1", (lamp, 1))
        for stock in (6, 5):
            files.bring(f"sku,stock\nLAMP-01,{stock}\nMUG-01,{stock}\n")
        assert shelf.events() == [f"catalog.StockRanLow product:{lamp.id}"]

    def test_are_archived_with_an_announcement_each_once(self, shelf: Shelf, files: Files) -> None:
        lamp, mug = shelf.product(sku="LAMP-01"), shelf.product(sku="MUG-01", status=ProductStatus.ARCHIVED)
        for name in ("a", "b"):
            files.bring(f"sku,name,status\nLAMP-01,{name},archived\nMUG-01,{name},archived\n")
        assert shelf.read(mug).name == "b"
        assert shelf.events() == [f"catalog.ProductArchived product:{lamp.id}"]

    def test_skus_that_differ_in_case_are_different_products(self, shelf: Shelf, files: Files) -> None:
        shelf.product(sku="lamp-01")
        assert told(files.bring("sku,name,price\nLAMP-01,Lamp,1\n")).startswith("1 created, 0 changed")


class TestManyLines:
    def test_the_second_run_of_a_file_changes_nothing(self, shelf: Shelf, files: Files) -> None:
        content = HEADER + "".join(f"S-{n},Product {n},About {n},{n % 90}.99,{n % 7},published\n" for n in range(3000))
        assert told(files.bring(content)) == "3,000 created, 0 changed, 0 unchanged, 0 bad."
        before = shelf.query("SELECT * FROM catalog.products ORDER BY id")
        assert told(files.bring(content)) == "0 created, 0 changed, 3,000 unchanged, 0 bad."
        assert shelf.query("SELECT * FROM catalog.products ORDER BY id") == before

    def test_new_changed_and_unchanged_are_told_apart(self, shelf: Shelf, files: Files) -> None:
        for n in range(4):
            shelf.product(sku=f"S-{n}", name="Lamp", price="1.00", stock=1)
        outcome = files.bring("sku,name,price,stock\nS-0,Lamp,1,1\nS-1,Lamp,1,2\nS-2,Lamp,2,1\nS-3,New,3,3\nS-4,Lamp,1,1\n")
        assert told(outcome) == "1 created, 3 changed, 1 unchanged, 0 bad."

    def test_nothing_is_left_in_the_staging_table(self, shelf: Shelf, files: Files) -> None:
        files.bring("sku,name,price\nA,a,1\n")
        files.bring("sku,name,price\nA,a,1\nB\n", "--skip-bad-lines")
        files.bring("sku,name,price\nA,a,1\nB\n")
        assert shelf.query("SELECT count(*) FROM catalog.import_lines") == [(0,)]

    def test_a_header_alone_is_no_mistake(self, files: Files) -> None:
        assert files.bring(HEADER).code == 0


class TestDryRun:
    def test_says_what_would_happen_and_stores_nothing(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=5, status=ProductStatus.PUBLISHED)
        shelf.product(sku="MUG-01")
        outcome = files.bring("sku,name,price,stock,status\nLAMP-01,,,9,archived\nMUG-01,,,,\nNEW,n,1,1,\n", "--dry-run")
        assert (outcome.code, told(outcome)) == (0, "1 created, 1 changed, 1 unchanged, 0 bad.")
        assert shelf.read(lamp) == lamp
        assert shelf.skus() == ["LAMP-01", "MUG-01"]
        assert shelf.events() == []

    def test_tells_bad_lines_and_what_the_good_ones_would_do(self, shelf: Shelf, files: Files) -> None:
        outcome = files.bring("sku,name,price\nA,a,1\nB,b,x\n", "--dry-run")
        assert (outcome.code, told(outcome)) == (1, "1 created, 0 changed, 0 unchanged, 1 bad.")
        assert shelf.skus() == []

    def test_says_the_same_as_the_import_that_follows(self, files: Files) -> None:
        content = "sku,name,price\nA,a,1\nA,b,2\nB\n"
        rehearsed = files.bring(content, "--dry-run", "--skip-bad-lines")
        done = files.bring(content, "--skip-bad-lines")
        assert told(rehearsed) == told(done)
        assert rehearsed.bad_lines == done.bad_lines
