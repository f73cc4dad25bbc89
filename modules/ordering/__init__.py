"""Ordering: orders from placing to their end."""
