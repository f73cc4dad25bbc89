"""Catalog: products, prices and stock."""
