"""Examples in the OpenAPI document: from the bodies and DTOs that have one, to each request and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_REF: Final = "#/components/schemas/"
_NULL: Final = "\x00null"
_NULL_AS_JSON: Final = r'"\u0000null"'
_NO_EXAMPLE: Final = object()


def kept(value: Any) -> Any:
    """The example as the framework can carry it: it leaves every member that is null out of the document."""
    if value is None:
        return _NULL
    if isinstance(value, Mapping):
        return {name: kept(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [kept(member) for member in value]
    return value


def with_nulls(document: str) -> str:
    """The document's JSON, with null again where `kept` has put something in its place."""
    return document.replace(_NULL_AS_JSON, "null")


def spread(document: dict[str, Any]) -> None:
    """Write at every body and every answer of 2xx the example that its schema leads to, unless it has its own."""
    schemas = document.get("components", {}).get("schemas", {})
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = [response for status, response in operation["responses"].items() if status.startswith("2")]
            for described in (operation.get("requestBody", {}), *answers):
                for content in described.get("content", {}).values():
                    example = _example_of(content.get("schema", {}), schemas)
                    if example is not _NO_EXAMPLE:
                        content.setdefault("example", example)


def _example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Its own, or one made of what it holds when it is a list or a page."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].removeprefix(_REF)]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("type") == "array":
        item = _example_of(schema.get("items", {}), schemas)
        return item if item is _NO_EXAMPLE else [item]
    properties = schema.get("properties", {})
    if properties.keys() == {"items", "next_cursor"}:
        items = _example_of(properties["items"], schemas)
        return items if items is _NO_EXAMPLE else {"items": items, "next_cursor": None}
    return _NO_EXAMPLE
