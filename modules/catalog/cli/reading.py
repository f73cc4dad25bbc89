"""Reading files of products: CSV in UTF-8, line by line, each line good or with what is wrong with it."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from typing import IO, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from catalog.schemas import ImportedLine
from catalog.service import BadLine, ProductLine
from kernel.pure.errors import Invalid

COLUMNS: Final = ("sku", "name", "description", "price", "stock", "status")

_MAX_RECORD: Final = 1 << 16
"""Characters: the longest description, each one a quote that has to be doubled, needs a third of it."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REASONS: Final = {
    "missing": "There is none",
    "string_pattern_mismatch": "An SKU is visible ASCII, with spaces only inside",
}


class UnreadableFile(Invalid):
    """The file as a whole is not one of products."""

    code = "unreadable-file"
    title = "The file cannot be imported"


class _TooLong(Exception):
    """Says what is."""


class ProductFile:
    """An open file of products. Iterate once; a line that a mistake has swallowed is read again on its own."""

    def __init__(self, source: IO[bytes], name: str) -> None:
        """Reads the header. Errors: UnreadableFile."""
        self._source = source
        self._name = name
        # What is not UTF-8 comes as lone surrogates, so that a bad line can be told from the good ones around it.
        text = TextIOWrapper(source, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._lines = _Lines(text)
        self._records = csv.reader(self._lines, strict=True)
        self.columns = self._header()

    @property
    def position(self) -> int:
        """How many bytes have been read; a pipe does not tell."""
        return self._source.tell() if self._source.seekable() else 0

    @property
    def describes(self) -> bool:
        return "description" in self.columns

    def __iter__(self) -> Iterator[ProductLine | BadLine]:
        while True:
            number = self._lines.number + 1
            try:
                cells = self._next_record()
            except _TooLong as error:
                yield BadLine(line=number, column="", reason=str(error))
            except csv.Error:
                yield BadLine(line=number, column="", reason="The quotes do not balance")
            else:
                if cells is None:
                    return
                if any(cells):
                    yield from self._parsed(number, cells)

    def _next_record(self) -> list[str] | None:
        """The cells of the next record; None at the end. After an error, reading goes on behind the record's first line."""
        self._lines.begin_record()
        try:
            return next(self._records)
        except StopIteration:
            return None
        except (csv.Error, _TooLong):
            self._lines.read_again()
            raise

    def _header(self) -> tuple[str, ...]:
        try:
            cells = self._next_record()
            while cells is not None and not any(cells):
                cells = self._next_record()
        except (csv.Error, _TooLong):
            raise self._unreadable(f"begins with no header; its first line names columns: {', '.join(COLUMNS)}") from None
        if cells is None:
            raise self._unreadable(f"is empty; its first line names columns: {', '.join(COLUMNS)}")
        if any(_SURROGATE.search(cell) or "\0" in cell for cell in cells):
            raise self._unreadable("is not text in UTF-8")
        names = tuple(cell.strip().lower() for cell in cells)
        for name in names:
            if name not in COLUMNS:
                shown = name[:40].encode("unicode_escape").decode()
                raise self._unreadable(f'has the unknown column "{shown}" in its header; it may have {", ".join(COLUMNS)}')
            if names.count(name) > 1:
                raise self._unreadable(f'has the column "{name}" twice')
        if "sku" not in names:
            raise self._unreadable('has no column "sku", by which products are found')
        return names

    def _parsed(self, number: int, cells: list[str]) -> Iterator[ProductLine | BadLine]:
        if len(cells) != len(self.columns):
            reason = f"The line has {len(cells)} fields, the header {len(self.columns)}"
            yield BadLine(line=number, column="", reason=reason)
            return
        given = {column: _clean(column, cell) for column, cell in zip(self.columns, cells, strict=True)}
        broken = [column for column, cell in given.items() if not cell.isascii() and _SURROGATE.search(cell)]
        if broken:
            yield from (BadLine(line=number, column=column, reason=_not_utf8(given[column])) for column in broken)
            return
        try:
            read = ImportedLine.model_validate({column: cell for column, cell in given.items() if cell})
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                yield BadLine(line=number, column=str(detail["loc"][0]), reason=_reason(detail, given))
        else:
            yield ProductLine(
                line=number,
                sku=read.sku,
                name=read.name,
                description=read.description,
                price=read.price,
                stock=read.stock,
                status=read.status,
            )

    def _unreadable(self, what: str) -> UnreadableFile:
        return UnreadableFile(f"{self._name} {what}.")


class _Lines(Iterator[str]):
    """The lines of a file for the CSV reader: numbered, bounded, and able to go back within a record."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._size = 0
        self.number = 0

    def begin_record(self) -> None:
        self._record.clear()
        self._size = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self._record.append(line)
        self._size += len(line)
        if self._size > _MAX_RECORD:
            what = "The line has" if len(self._record) == 1 else "A quote is not closed for"
            raise _TooLong(f"{what} more than {_MAX_RECORD:,} characters")
        return line

    def read_again(self) -> None:
        """Go back behind the first line of the record."""
        self._again.extendleft(reversed(self._record[1:]))
        self.number -= len(self._record) - 1

    def _read(self) -> str:
        """The next line, of which no more is kept than shows that it is too long."""
        line = rest = self._text.readline(_MAX_RECORD + 1)
        while len(line) > _MAX_RECORD and rest and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(_MAX_RECORD + 1)
        return line


def _clean(column: str, cell: str) -> str:
    if column == "description":
        # Spreadsheets break lines inside a cell in their own ways.
        return cell.replace("\r\n", "\n").replace("\r", "\n").strip()
    return cell.strip(" \t")


def _reason(detail: ErrorDetails, given: Mapping[str, str]) -> str:
    if "\0" in given[str(detail["loc"][0])]:
        return "Text may not hold the character NUL"
    return _REASONS.get(detail["type"], detail["msg"])


def _not_utf8(cell: str) -> str:
    try:
        cell.encode(errors="surrogateescape").decode(errors="surrogatepass")
    except UnicodeError:
        return "The text is not in UTF-8"
    return "The text holds a lone surrogate"
