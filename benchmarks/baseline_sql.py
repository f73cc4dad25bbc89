"""Baseline: hand-written SQL on bare ASGI, psycopg2 in one thread hop. As little as can answer the three requests."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import jwt
import psycopg2
from psycopg2.extras import RealDictCursor

_DSN: Final = os.environ["BASELINE_DSN"]
_SECRET: Final = os.environ["BASELINE_SECRET"]
_THREADS: Final = 8

_COLUMNS: Final = "id, sku, name, description, price, currency, stock, status, version, created_at, updated_at"
_READ: Final = f"SELECT {_COLUMNS} FROM products WHERE id = %s AND status = 'published'"  # noqa: S608 -- constants
_LIST: Final = f"SELECT {_COLUMNS} FROM products WHERE status = 'published' ORDER BY id DESC LIMIT 21"  # noqa: S608 -- constants
_LOCK: Final = "SELECT id FROM products WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_TAKE: Final = """
    UPDATE products p SET stock = p.stock - line.quantity
    FROM unnest(%s::bigint[], %s::integer[]) AS line (id, quantity)
    WHERE p.id = line.id AND p.status = 'published' AND p.stock >= line.quantity
    RETURNING p.id AS product_id, p.sku, p.name, line.quantity, p.price AS unit_price, line.quantity * p.price AS line_total
"""
_PLACE: Final = """
    WITH placed AS (
      INSERT INTO orders (user_id, status, total, currency) VALUES (%s, 'pending', %s, 'GBP') RETURNING id, created_at
    ), lines AS (
      INSERT INTO order_lines (order_id, product_id, sku, name, quantity, unit_price)
      SELECT placed.id, line.product_id, line.sku, line.name, line.quantity, line.unit_price
      FROM placed, jsonb_to_recordset(%s::jsonb) AS line
        (product_id bigint, sku text, name text, quantity integer, unit_price numeric)
    ), moved AS (
      INSERT INTO stock_movements (product_id, order_id, quantity)
      SELECT line.product_id, placed.id, -line.quantity
      FROM placed, jsonb_to_recordset(%s::jsonb) AS line (product_id bigint, quantity integer)
    )
    SELECT id, created_at FROM placed
"""

Answer = tuple[int, bytes]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_pool: Final = ThreadPoolExecutor(_THREADS)
_own: Final = threading.local()


async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    body = b""
    if scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    status, content = await asyncio.get_running_loop().run_in_executor(_pool, _answer, scope, body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _answer(scope: Mapping[str, Any], body: bytes) -> Answer:
    path: str = scope["path"]
    if path == "/api/v1/orders":
        return _place_order(_user_id(dict(scope["headers"])[b"authorization"]), json.loads(body))
    cursor = _cursor("reading", autocommit=True)
    if path == "/api/v1/products":
        cursor.execute(_LIST)
        rows = cursor.fetchall()
        return 200, _json({"items": rows[:20], "next_cursor": str(rows[19]["id"]) if len(rows) > 20 else None})
    cursor.execute(_READ, (int(path.rpartition("/")[2]),))
    row = cursor.fetchone()
    return (404, b"{}") if row is None else (200, _json(row))


def _place_order(user_id: int, body: Any) -> Answer:
    cursor = _cursor("writing", autocommit=False)
    ids, quantities = zip(*((line["product_id"], line["quantity"]) for line in body["items"]), strict=True)
    with cursor.connection:
        cursor.execute(_LOCK, (list(ids),))
        cursor.execute(_TAKE, (list(ids), list(quantities)))
        items = cursor.fetchall()
        if len(items) < len(ids):
            cursor.connection.rollback()
            return 409, b"{}"
        total = sum((item["line_total"] for item in items), Decimal(0))
        lines = json.dumps(items, default=str)
        cursor.execute(_PLACE, (user_id, total, lines, lines))
        order = cursor.fetchone()
        assert order is not None
    return 201, _json({**order, "user_id": user_id, "status": "pending", "total": total, "currency": "GBP", "items": items})


def _cursor(name: str, *, autocommit: bool) -> RealDictCursor:
    cursor: RealDictCursor | None = getattr(_own, name, None)
    if cursor is None:
        connection = psycopg2.connect(_DSN)
        connection.autocommit = autocommit
        cursor = connection.cursor(cursor_factory=RealDictCursor)
        setattr(_own, name, cursor)
    return cursor


@lru_cache
def _user_id(authorization: bytes) -> int:
    claims = jwt.decode(authorization.removeprefix(b"Bearer ").decode(), _SECRET, algorithms=["HS256"])
    return int(claims["sub"])


def _json(content: Any) -> bytes:
    return json.dumps(content, default=str).encode()
