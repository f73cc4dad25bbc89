"""The tables of both baselines: the same columns as the shop's, without walls, ledgers of events, or keys of requests."""

from __future__ import annotations

from typing import Final

TABLES: Final = """
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE products (
  id bigint PRIMARY KEY, sku text NOT NULL UNIQUE, name text NOT NULL, description text, price numeric(10, 2) NOT NULL,
  currency text NOT NULL, stock integer NOT NULL CHECK (stock >= 0), status text NOT NULL, version integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON products (id) WHERE status = 'published';
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, status text NOT NULL,
  total numeric(18, 2) NOT NULL, currency text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON orders (user_id, id);
CREATE TABLE order_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders,
  product_id bigint NOT NULL REFERENCES products, sku text NOT NULL, name text NOT NULL, quantity integer NOT NULL,
  unit_price numeric(10, 2) NOT NULL, line_total numeric(18, 2) GENERATED ALWAYS AS (quantity * unit_price) STORED
);
CREATE INDEX ON order_lines (order_id);
CREATE TABLE stock_movements (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product_id bigint NOT NULL REFERENCES products,
  order_id bigint NOT NULL, quantity integer NOT NULL
);
CREATE INDEX ON stock_movements (product_id, id);
INSERT INTO users (email) VALUES ('ada@example.com');
"""
