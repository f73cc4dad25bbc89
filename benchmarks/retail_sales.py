"""A retailer's file of sales, read and planned: which products, customers and orders a shop needs to repeat them."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Final, TextIO

COLUMNS: Final = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")

_CUSTOMER: Final = re.compile(r"(\d+)(\.0)?")


class SalesFileError(Exception):
    """The file cannot be replayed; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Line:
    code: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    number: str
    customer: str
    at: datetime
    lines: Sequence[Line]


@dataclass(frozen=True)
class PlannedOrder:
    """One order: each product has one price in it. `key` tells it apart from all others of the file."""

    key: str
    invoice: str
    customer: str
    lines: Sequence[Line]

    @cached_property
    def prices(self) -> Mapping[str, Decimal]:
        return {line.code: line.price for line in self.lines}

    @cached_property
    def quantities(self) -> Mapping[str, int]:
        """What the shop makes of the lines: one per product, in the order of first mention."""
        quantities: Counter[str] = Counter()
        for line in self.lines:
            quantities[line.code] += line.quantity
        return quantities


@dataclass(frozen=True)
class Sales:
    """The sales in time order. Of the sold products, `names` holds a description."""

    invoices: Sequence[Invoice]
    names: Mapping[str, str]

    @property
    def lines(self) -> Iterator[Line]:
        return (line for invoice in self.invoices for line in invoice.lines)

    @cached_property
    def customers(self) -> Sequence[str]:
        return list(dict.fromkeys(invoice.customer for invoice in self.invoices))

    @cached_property
    def sold(self) -> Mapping[str, int]:
        """Units sold of each product."""
        sold: Counter[str] = Counter()
        for line in self.lines:
            sold[line.code] += line.quantity
        return sold

    @cached_property
    def first_prices(self) -> Mapping[str, Decimal]:
        prices: dict[str, Decimal] = {}
        for line in self.lines:
            prices.setdefault(line.code, line.price)
        return prices

    @cached_property
    def revenue(self) -> Decimal:
        return sum((line.quantity * line.price for line in self.lines), Decimal("0.00"))

    @cached_property
    def orders(self) -> Sequence[PlannedOrder]:
        return [order for invoice in self.invoices for order in split(invoice)]

    def first(self, invoices: int) -> Sales:
        """The slice with so many invoices."""
        part = Sales(self.invoices[:invoices], self.names)
        return Sales(part.invoices, {code: self.names[code] for code in part.sold})


def split(invoice: Invoice) -> Sequence[PlannedOrder]:
    """One order, or as many as a product has prices in this invoice: the n-th takes the lines at each product's n-th price."""
    prices: dict[str, list[Decimal]] = defaultdict(list)
    parts: dict[int, list[Line]] = defaultdict(list)
    for line in invoice.lines:
        seen = prices[line.code]
        if line.price not in seen:
            seen.append(line.price)
        parts[seen.index(line.price)].append(line)
    return [
        PlannedOrder(f"{invoice.number}-{part + 1}", invoice.number, invoice.customer, parts[part]) for part in sorted(parts)
    ]


def read_sales(path: Path) -> Sales:
    """The lines with a customer and a positive quantity, by invoice, in time order. Errors: SalesFileError, OSError."""
    by_invoice: dict[str, Invoice] = {}
    lines: dict[str, list[Line]] = defaultdict(list)
    names: dict[str, str] = {}
    for where, row in _rows(path):
        if not row["CustomerID"].strip() or _quantity(where, row) <= 0:
            continue
        line = Line(row["StockCode"].strip(), _quantity(where, row), _price(where, row))
        number, customer, at = row["InvoiceNo"].strip(), _customer(where, row), _time(where, row)
        # An invoice that took a while counts from its first line.
        invoice = by_invoice.setdefault(number, Invoice(number, customer, at, lines[number]))
        if invoice.customer != customer:
            raise SalesFileError(f"{where}: the invoice {number} belongs to the customers {invoice.customer} and {customer}.")
        lines[number].append(line)
        description = " ".join(row["Description"].split())
        if description or line.code not in names:
            names[line.code] = description or names.get(line.code) or line.code
    if not by_invoice:
        raise SalesFileError(f"{path} holds no line with a CustomerID and a Quantity above 0.")
    return Sales(sorted(by_invoice.values(), key=lambda invoice: invoice.at), names)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    with _opened(path) as file:
        reader = csv.DictReader(file)
        try:
            _require_columns(path, reader.fieldnames or ())
            for row in reader:
                if any(row[column] is None for column in COLUMNS):
                    raise SalesFileError(f"{path}:{reader.line_num}: the line has too few columns.")
                yield f"{path}:{reader.line_num}", row
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SalesFileError(f"{path} is not a CSV file in UTF-8, packed by gzip or not: {error}.") from error


def _opened(path: Path) -> TextIO:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _require_columns(path: Path, found: Iterable[str]) -> None:
    missing = [column for column in COLUMNS if column not in set(found)]
    if missing:
        raise SalesFileError(f"{path} lacks the columns {', '.join(missing)}.")


def _quantity(where: str, row: Mapping[str, str]) -> int:
    try:
        return int(row["Quantity"])
    except ValueError:
        raise SalesFileError(f"{where}: the Quantity {row['Quantity']!r} is not a whole number.") from None


def _price(where: str, row: Mapping[str, str]) -> Decimal:
    try:
        price = Decimal(row["UnitPrice"])
    except InvalidOperation:
        raise SalesFileError(f"{where}: the UnitPrice {row['UnitPrice']!r} is not a number.") from None
    if not price.is_finite() or price < 0 or price != round(price, 2):
        raise SalesFileError(f"{where}: the shop cannot ask the UnitPrice {price}; its prices are 0.00 or more, in pennies.")
    return round(price, 2)


def _customer(where: str, row: Mapping[str, str]) -> str:
    # The public copy went through a program that made numbers of them: 17850.0.
    found = _CUSTOMER.fullmatch(row["CustomerID"].strip())
    if found is None:
        raise SalesFileError(f"{where}: the CustomerID {row['CustomerID']!r} is not a number.")
    return found[1]


def _time(where: str, row: Mapping[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(row["InvoiceDate"])
    except ValueError:
        raise SalesFileError(f"{where}: the InvoiceDate {row['InvoiceDate']!r} is not like 2010-12-01 08:26:00.") from None
