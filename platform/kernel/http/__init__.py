"""The HTTP layer: routes, problems, pages, idempotency, tokens. The only place that knows status codes."""
