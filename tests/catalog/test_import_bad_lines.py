"""What an import does with bad lines: each is named by its number, column and reason, and nothing is stored."""

from __future__ import annotations

import csv

import pytest
from tests.catalog.factories import Shelf
from tests.catalog.files import Files, told

HEADER = "sku,name,description,price,stock,status\n"
GOOD = "GOOD,Good,,1,1,\n"

BAD: dict[str, tuple[str | bytes, str]] = {
    "no price for a new product": ("A,a,,,1,", "Line 2, price: No product has this SKU yet, and a new one needs a price."),
    "no name for a new product": ("A,,,1,1,", "Line 2, name: No product has this SKU yet, and a new one needs a name."),
    "no sku": (",a,,1,1,", "Line 2, sku: There is none."),
    "three decimals": ("A,a,,1.999,1,", "Line 2, price: A price is a string from 0.00 to 99999999.99"),
    "negative price": ("A,a,,-1,1,", "Line 2, price: A price is"),
    "price with a decimal comma": ('A,a,,"1,50",1,', "Line 2, price: A price is"),
    "price with a currency": ("A,a,,£1,1,", "Line 2, price: A price is"),
    "price in scientific notation": ("A,a,,1e2,1,", "Line 2, price: A price is"),
    "price that is no number": ("A,a,,NaN,1,", "Line 2, price: A price is"),
    "price beyond the column": ("A,a,,100000000,1,", "Line 2, price: A price is"),
    "price in other digits": ("A,a,,١,1,", "Line 2, price: A price is"),
    "negative stock": ("A,a,,1,-1,", "Line 2, stock: A stock is a whole number from 0 to 1,000,000,000."),
    "stock with decimals": ("A,a,,1,1.0,", "Line 2, stock: A stock is"),
    "stock in words": ("A,a,,1,many,", "Line 2, stock: A stock is"),
    "stock beyond what a product holds": ("A,a,,1,1000000001,", "Line 2, stock: A stock is"),
    "stock of 2^63": ("A,a,,1,9223372036854775808,", "Line 2, stock: A stock is"),
    "stock of 5,000 digits": (f"A,a,,1,{'9' * 5000},", "Line 2, stock: A stock is"),
    "stock in other digits": ("A,a,,1,١,", "Line 2, stock: A stock is"),
    "unknown status": ("A,a,,1,1,sold", "Line 2, status: Input should be 'draft', 'published' or 'archived'."),
    "status in capitals": ("A,a,,1,1,Draft", "Line 2, status: Input should be"),
    "sku with a letter beyond ASCII": ("É,a,,1,1,", "Line 2, sku: An SKU is visible ASCII, with spaces only inside."),
    "sku with a tab inside": ("A\tB,a,,1,1,", "Line 2, sku: An SKU is visible ASCII"),
    "too long sku": (f"{'A' * 65},a,,1,1,", "Line 2, sku: String should have at most 64 characters."),
    "too long name": (f"A,{'a' * 201},,1,1,", "Line 2, name: String should have at most 200 characters."),
    "too long description": (f"A,a,{'a' * 10_001},1,1,", "Line 2, description: String should have at most 10000 characters."),
    "name of two lines": ('A,"a\nb",,1,1,', "Line 2, name: Text may not hold control characters."),
    "escape in the description": ("A,a,\x1b[0m,1,1,", "Line 2, description: Text may not hold control characters."),
    "NUL": ("A,a\0b,,1,1,", "Line 2, name: Text may not hold the character NUL."),
    "NUL in the sku": ("A\0,a,,1,1,", "Line 2, sku: Text may not hold the character NUL."),
    "lone surrogate": (b"A,a\xed\xa0\x80b,,1,1,", "Line 2, name: The text holds a lone surrogate."),
    "Latin-1": (b"A,Caf\xe9,,1,1,", "Line 2, name: The text is not in UTF-8."),
    "too few fields": ("A,a,,1,1", "Line 2: The line has 5 fields, the header 6."),
    "too many fields": ("A,a,,1,1,,x", "Line 2: The line has 7 fields, the header 6."),
    "text after a quote": ('A,"a"b,,1,1,', "Line 2: The quotes do not balance."),
    "open quote": ('A,"a,,1,1,', "Line 2: The quotes do not balance."),
    "too long a line": ("A,a," + "x" * 70_000 + ",1,1,", "Line 2: The line has more than 65,536 characters."),
    "too long a quoted cell": (
        'A,a,"' + "x\n" * 40_000 + '",1,1,',
        "Line 2: A quote is not closed for more than 65,536 characters.",
    ),
    "the same sku again": (b"GOOD,b,,1,1,\nGOOD,c,,1,1,", "Line 3, sku: Line 2 has the same SKU."),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_named_and_nothing_is_stored(shelf: Shelf, files: Files, kind: str) -> None:
    line, told_as = BAD[kind]
    line = line.encode() if isinstance(line, str) else line
    good = GOOD.replace("GOOD", "LAST").encode()
    outcome = files.bring(HEADER.encode() + line + b"\n" + good)
    assert outcome.code == 1
    assert outcome.bad_lines[0].startswith(told_as)
    assert shelf.skus() == []
    assert "Nothing was stored" in outcome.err


@pytest.mark.parametrize("kind", [kind for kind in BAD if not kind.startswith(("too long a quoted", "the same"))])
def test_the_good_lines_around_a_bad_one_are_imported_when_asked_for(shelf: Shelf, files: Files, kind: str) -> None:
    line = BAD[kind][0]
    line = line.encode() if isinstance(line, str) else line
    content = b"%s%s%s\n%s" % (HEADER.encode(), GOOD.encode(), line, GOOD.replace("GOOD", "LAST").encode())
    outcome = files.bring(content, "--skip-bad-lines")
    assert outcome.code == 0
    assert outcome.bad_lines != []
    assert shelf.skus() == ["GOOD", "LAST"]


class TestNumbers:
    def test_lines_are_counted_as_an_editor_counts_them(self, files: Files) -> None:
        outcome = files.bring(
            '\n\nsku,name,price,description\nA,a,1,"two\nlines"\n\nB,b,x,\n"C",c,1,"three\n\nlines"\nD,d,y,\n'
        )
        assert [line.partition(",")[0] for line in outcome.bad_lines] == ["Line 7", "Line 11"]

    def test_a_quote_that_is_never_closed_spoils_its_own_line_only(self, shelf: Shelf, files: Files) -> None:
        lines = [f"S-{n},Product {n},1\n" for n in range(20_000)]
        lines[5] = 'S-5,"Product 5,1\n'
        outcome = files.bring("sku,name,price\n" + "".join(lines), "--skip-bad-lines")
        assert outcome.bad_lines == ["Line 7: A quote is not closed for more than 65,536 characters."]
        assert len(shelf.skus()) == 19_999

    def test_quotes_of_two_bad_lines_do_not_hide_what_stands_between(self, shelf: Shelf, files: Files) -> None:
        outcome = files.bring('sku,name,price\nA,"a,1\nB,b,1\nC,"c,1\nD,d,1\n', "--skip-bad-lines")
        assert [line.partition(":")[0] for line in outcome.bad_lines] == ["Line 2", "Line 4"]
        assert shelf.skus() == ["B", "D"]

    def test_every_mistake_of_a_line_is_told_and_the_line_counted_once(self, files: Files) -> None:
        outcome = files.bring(HEADER + "É,a,,x,-1,sold\n")
        assert [line.split(":")[0] for line in outcome.bad_lines] == [
            "Line 2, sku",
            "Line 2, price",
            "Line 2, stock",
            "Line 2, status",
        ]
        assert told(outcome).endswith("1 bad.")

    def test_a_sku_that_comes_three_times_keeps_its_first_line(self, shelf: Shelf, files: Files) -> None:
        outcome = files.bring("sku,name,price\nA,first,1\nB,b,1\nA,second,2\nA,third,3\n", "--skip-bad-lines")
        assert outcome.bad_lines == ["Line 4, sku: Line 2 has the same SKU.", "Line 5, sku: Line 2 has the same SKU."]
        assert shelf.by_sku("A").name == "first"
        assert told(outcome) == "2 created, 0 changed, 0 unchanged, 2 bad."

    def test_a_bad_line_does_not_take_its_sku(self, shelf: Shelf, files: Files) -> None:
        files.bring("sku,name,price\nA,first,x\nA,second,2\n", "--skip-bad-lines")
        assert shelf.by_sku("A").name == "second"

    def test_a_known_product_needs_no_name_but_an_unknown_one_does(self, shelf: Shelf, files: Files) -> None:
        lamp = shelf.product(sku="LAMP-01", stock=1)
        outcome = files.bring("sku,stock\nLAMP-01,2\nLAMP-02,2\n", "--skip-bad-lines")
        assert outcome.bad_lines == ["Line 3, name: No product has this SKU yet, and a new one needs a name."]
        assert shelf.stock(lamp) == 2


class TestReport:
    def test_holds_every_bad_line_as_csv(self, files: Files) -> None:
        report = files.directory / "report.csv"
        files.bring('sku,name,price\nA,a,x\nB,"b\nc,1\nC,c,1\nC,c,2\nD\n', "--report", report)
        with report.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        assert [(row["line"], row["column"]) for row in rows] == [("2", "price"), ("3", ""), ("4", ""), ("7", ""), ("6", "sku")]
        assert all(row["reason"] for row in rows)

    def test_is_empty_but_for_its_header_when_all_is_well(self, files: Files) -> None:
        report = files.directory / "report.csv"
        files.bring("sku,name,price\nA,a,1\n", "--report", report)
        assert report.read_text() == "line,column,reason\n"

    def test_has_all_when_the_screen_has_enough(self, files: Files) -> None:
        report = files.directory / "report.csv"
        content = "sku,name,price\n" + "A,a,x\n" * 200
        outcome = files.bring(content, "--report", report)
        assert len(outcome.bad_lines) == 50
        assert f"… and 150 more; {report} has all of them." in outcome.err
        assert len(report.read_text().splitlines()) == 201
        assert "--report FILE writes all of them" in files.bring(content).err

    def test_never_overwrites_the_file_to_import(self, files: Files) -> None:
        path = files.write("sku,name,price\nA,a,1\n")
        outcome = files.run("import", path, "--report", path)
        assert outcome.code == 1
        assert path.read_text() == "sku,name,price\nA,a,1\n"


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "is empty; its first line names columns: sku, name, description, price, stock, status."),
            (b"\n\n", "is empty"),
            (b"\xef\xbb\xbf", "is empty"),
            ("sku,name,price\nA,a,1\n".encode("utf-16"), "is not text in UTF-8."),
            (b"\x89PNG\r\n\x1a\n\0\0\0", "is not text in UTF-8."),
            (b"sku,name,prix\nA,a,1\n", 'has the unknown column "prix" in its header; it may have sku, name,'),
            (b"sku;name;price\nA;a;1\n", 'has the unknown column "sku;name;price" in its header'),
            (b"A,Lamp,1\nB,Mug,2\n", 'has the unknown column "a" in its header'),
            (b"sku,name,,price\nA,a,,1\n", 'has the unknown column "" in its header'),
            (b"sku,name,price,name\n", 'has the column "name" twice.'),
            (b"name,price\na,1\n", 'has no column "sku", by which products are found.'),
            (b'"sku,name\nA,a\n', "begins with no header"),
            (b"x" * 100_000, "begins with no header"),
        ],
    )
    def test_a_file_that_is_none_of_products_is_refused_in_one_sentence(
        self, files: Files, content: bytes, sentence: str
    ) -> None:
        outcome = files.bring(content)
        assert outcome.code == 1
        assert outcome.err.startswith(f"{files.directory}/products.csv {sentence}")
        assert outcome.err.count("\n") == 1

    def test_a_file_that_is_not_there_is_told(self, files: Files) -> None:
        outcome = files.run("import", files.directory / "none.csv")
        assert (outcome.code, outcome.err) == (1, f"There is no {files.directory}/none.csv.\n")

    def test_a_directory_is_told(self, files: Files) -> None:
        outcome = files.run("import", files.directory)
        assert (outcome.code, outcome.err) == (1, f"{files.directory} is a directory, where a file is expected.\n")

    def test_a_report_that_cannot_be_written_is_told_before_anything_happens(self, shelf: Shelf, files: Files) -> None:
        outcome = files.bring("sku,name,price\nA,a,1\n", "--report", files.directory / "none" / "report.csv")
        assert outcome.code == 1
        assert shelf.skus() == []
