"""Payment providers, each behind the same Protocol."""
