"""Ordering offers no calls to other modules yet, so there is nothing to fake."""
