"""Words: what documents say for people, which snapshots leave out, so that a better wording is no change of a promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.contracts.promises.shapes import as_text

WORDS: Final = frozenset({"title", "description", "examples", "example", "$comment", "externalDocs"})
"""For people. They change whenever somebody finds a better one, and nobody's program reads them."""
_BY_NAME: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_VALUES: Final = frozenset({"enum", "const", "default", "required", "dependentRequired"})


def bare(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in WORDS}


def without_words(schema: Any) -> Any:
    """Without words; a field may well be called `description`, so names of fields are not taken for keywords."""
    if isinstance(schema, list):
        return [without_words(each) for each in schema]
    if not isinstance(schema, Mapping):
        return int(schema) if isinstance(schema, float) and schema.is_integer() else schema
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _BY_NAME:
            kept[name] = {field: without_words(each) for field, each in value.items()}
        elif name in ("required", "enum"):
            kept[name] = sorted(value, key=as_text)
        elif name in _VALUES:
            kept[name] = value
        elif name not in WORDS:
            kept[name] = without_words(value)
    return kept
