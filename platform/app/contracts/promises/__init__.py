"""Promises: what a module promises to others (interface, HTTP, events), kept as snapshots in its `contracts/` folder."""
