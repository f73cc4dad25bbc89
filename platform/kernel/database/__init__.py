"""The database layer: engines, transactions, ownership, outbox. Knows no HTTP."""
