"""Dispatching: committed events are written out as deliveries, one per listener, and each is made until it succeeds."""
