"""A payment provider for development and tests: its books are a file of its own, outside of all our transactions.

Test tokens choose what happens:

tok_approve            charged (also without a token)
tok_decline            declined
tok_insufficient_funds declined for that reason
tok_timeout            nothing is charged, and no answer comes
tok_late               the money is held, but the answer comes after the timeout
tok_fail_after_charge  charged, then the connection breaks
tok_twice              each request arrives twice, and so does the webhook
tok_refund_declined    charged; a refund of it is declined
tok_refund_late        charged; a refund of it is made, but its answer comes after the timeout
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import uuid4

from ordering.service.gateways.protocol import (
    Authorised,
    Captured,
    Declined,
    Nothing,
    PaymentGateway,
    Refunded,
    Unknown,
    Voided,
)

NAME: Final = "sandbox"
FILE: Final = "sandbox-payments.sqlite3"

_DECLINES: Final = {"tok_decline": "card-declined", "tok_insufficient_funds": "insufficient-funds"}
_ACCEPTED: Final = frozenset(
    {"tok_approve", "tok_timeout", "tok_late", "tok_fail_after_charge", "tok_twice", "tok_refund_declined", "tok_refund_late"}
)
_TOO_LATE: Final = Unknown("timeout")
_BROKEN: Final = Unknown("connection broken")
_WAIT_SECONDS: Final = 10.0

# Every movement of money is a row of `entries`: what was charged twice stands there twice.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS charges (
  key TEXT PRIMARY KEY, reference TEXT UNIQUE NOT NULL, order_name TEXT NOT NULL, amount TEXT NOT NULL,
  currency TEXT NOT NULL, token TEXT NOT NULL, state TEXT NOT NULL, code TEXT
);
CREATE TABLE IF NOT EXISTS refunds (
  key TEXT PRIMARY KEY, reference TEXT UNIQUE NOT NULL, charge TEXT NOT NULL, amount TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY, order_name TEXT NOT NULL, charge TEXT NOT NULL, kind TEXT NOT NULL, amount TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of money: `kind` is capture or refund."""

    order: str
    charge: str
    kind: str
    amount: Decimal


class SandboxPaymentGateway(PaymentGateway):
    """Several processes may share the file: each call is one transaction of SQLite."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._opening = threading.Lock()
        self._ready = False

    @property
    def name(self) -> str:
        return NAME

    def authorise(
        self, *, key: str, order: str, amount: Decimal, currency: str, token: str | None
    ) -> Authorised | Declined | Unknown:
        token = token or "tok_approve"
        if token == "tok_timeout":  # noqa: S105 -- a test token
            return _TOO_LATE
        code = _DECLINES.get(token) or (None if token in _ACCEPTED else "unknown-token")
        state = "authorised" if code is None else "declined"
        new = False
        for _ in range(_arrivals(token)):
            with self._books() as books:
                values = (key, f"ch_{uuid4().hex}", order, str(amount), currency, token, state, code)
                if books.execute("INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values).rowcount:
                    new = True
                    _tell(books, key, f"payment.{state}")
        with self._books() as books:
            charge = books.execute("SELECT * FROM charges WHERE key = ?", (key,)).fetchone()
        if charge["state"] in ("declined", "voided"):
            return Declined(charge["code"] or "voided")
        return _TOO_LATE if new and token == "tok_late" else Authorised(charge["reference"])  # noqa: S105 -- a test token

    def capture(self, *, key: str, reference: str, amount: Decimal) -> Captured | Declined | Unknown:
        with self._books() as books:
            charge = _charge(books, key)
            if charge is None or charge["reference"] != reference or charge["state"] not in ("authorised", "captured"):
                return Declined("not-authorised")
            first = charge["state"] == "authorised"
            if first:
                books.execute("UPDATE charges SET state = 'captured', amount = ? WHERE key = ?", (str(amount), key))
                _enter(books, charge, "capture", amount)
                _tell(books, key, "payment.captured")
        if first and charge["token"] == "tok_fail_after_charge":  # noqa: S105 -- a test token
            return _BROKEN
        return Captured(reference, amount)

    def void(self, *, key: str) -> Voided | Declined | Unknown:
        with self._books() as books:
            charge = _charge(books, key)
            if charge is None:
                values = (key, f"ch_{uuid4().hex}", "", "0.00", "", "", "voided", None)
                books.execute("INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            elif charge["state"] == "captured":
                return Declined("captured")
            elif charge["state"] == "authorised":
                books.execute("UPDATE charges SET state = 'voided' WHERE key = ?", (key,))
        return Voided()

    def refund(self, *, key: str, reference: str, amount: Decimal) -> Refunded | Declined | Unknown:
        with self._books() as books:
            made = books.execute("SELECT * FROM refunds WHERE key = ?", (key,)).fetchone()
            if made is not None:
                return Refunded(made["reference"])
            charge = books.execute("SELECT * FROM charges WHERE reference = ?", (reference,)).fetchone()
            if charge is None or charge["state"] != "captured":
                return Declined("not-captured")
            if charge["token"] == "tok_refund_declined":  # noqa: S105 -- a test token
                return Declined("refund-declined")
            amounts = books.execute("SELECT amount FROM refunds WHERE charge = ?", (reference,)).fetchall()
            if sum((Decimal(row["amount"]) for row in amounts), amount) > Decimal(charge["amount"]):
                return Declined("exceeds-capture")
            name = f"re_{uuid4().hex}"
            books.execute("INSERT INTO refunds VALUES (?, ?, ?, ?)", (key, name, reference, str(amount)))
            _enter(books, charge, "refund", amount)
        return _TOO_LATE if charge["token"] == "tok_refund_late" else Refunded(name)  # noqa: S105 -- a test token

    def look_up(self, *, key: str) -> Authorised | Captured | Voided | Declined | Nothing | Unknown:
        with self._books() as books:
            charge = _charge(books, key)
        if charge is None:
            return Nothing()
        reference = charge["reference"]
        states: dict[str, Authorised | Captured | Voided | Declined] = {
            "authorised": Authorised(reference),
            "captured": Captured(reference, Decimal(charge["amount"])),
            "voided": Voided(),
            "declined": Declined(charge["code"] or "declined"),
        }
        return states[charge["state"]]

    def entries(self) -> list[Entry]:
        """The books: every movement of money, oldest first."""
        with self._books() as books:
            rows = books.execute("SELECT * FROM entries ORDER BY id").fetchall()
        return [Entry(row["order_name"], row["charge"], row["kind"], Decimal(row["amount"])) for row in rows]

    def messages(self, *, key: str) -> list[dict[str, str]]:
        """The webhooks about a charge, as this provider would send them; a test sends them on."""
        with self._books() as books:
            rows = books.execute("SELECT * FROM messages WHERE key = ? ORDER BY id", (key,)).fetchall()
        return [{"id": row["event_id"], "type": row["kind"], "key": row["key"]} for row in rows]

    def _open(self) -> None:
        with self._opening:
            if not self._ready:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._connect()) as books:
                    books.execute("PRAGMA journal_mode = WAL")
                    books.executescript(_SCHEMA)
                self._ready = True

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)

    @contextmanager
    def _books(self) -> Iterator[sqlite3.Connection]:
        self._open()
        with closing(self._connect()) as books:
            books.row_factory = sqlite3.Row
            books.execute("BEGIN IMMEDIATE")
            try:
                yield books
            except BaseException:
                books.execute("ROLLBACK")
                raise
            books.execute("COMMIT")


def _arrivals(token: str) -> int:
    return 2 if token == "tok_twice" else 1  # noqa: S105 -- a test token


def _charge(books: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = books.execute("SELECT * FROM charges WHERE key = ?", (key,)).fetchone()
    return row


def _enter(books: sqlite3.Connection, charge: sqlite3.Row, kind: str, amount: Decimal) -> None:
    values = (charge["order_name"], charge["reference"], kind, str(amount))
    books.execute("INSERT INTO entries (order_name, charge, kind, amount) VALUES (?, ?, ?, ?)", values)


def _tell(books: sqlite3.Connection, key: str, kind: str) -> None:
    """Note a webhook; with tok_twice it goes out twice, under one id."""
    charge = _charge(books, key)
    event_id = f"evt_{uuid4().hex}"
    for _ in range(_arrivals(charge["token"] if charge is not None else "")):
        books.execute("INSERT INTO messages (event_id, kind, key) VALUES (?, ?, ?)", (event_id, kind, key))
