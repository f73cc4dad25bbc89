"""Letters: samples of an event exactly as the outbox writes them, kept so that tomorrow's code can be made to read them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from app.contracts.promises.shapes import Schema, Schemas, Shape, as_text
from kernel.database.dispatching.decoding import decode
from kernel.database.outbox import payload_of
from kernel.pure.events import Event

_FORMATS: Final[Mapping[str, str]] = {
    "decimal": "12.34",
    "date-time": "2026-01-05T09:30:00Z",
    "date": "2026-01-05",
    "time": "09:30:00Z",
    "duration": "PT15M",
    "uuid": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    "email": "ada@example.com",
    "uri": "https://example.com/",
}
_TEXTS: Final = ("text", "TEXT", "text-1", "12.34", "1", "GB", "GBP")
_MAX_DEPTH: Final = 8
_MAX_LETTERS: Final = 50


def letters_of(kind: type[Event], schema: Schema) -> list[dict[str, Any]]:
    """One with everything in its first form, then one for each other form that a single field can have.

    Errors: ValueError, when the event cannot read what its own schema allows.
    """
    written: dict[str, dict[str, Any]] = {}
    for sample in _samples(Schemas(schema), schema):
        letter = payload_of(_read(kind, sample))
        written.setdefault(as_text(letter), letter)
        if len(written) == _MAX_LETTERS:
            break
    return list(written.values())


def aggregate_of(kind: type[Event], letter: Mapping[str, Any]) -> str:
    """What the event is about, with fields for their values: `order:{order_id}`."""
    event = _read(kind, letter)
    marks: dict[str, int | str] = {}
    for number, field in enumerate(dataclasses.fields(event)):
        value = getattr(event, field.name)
        if isinstance(value, str) and not isinstance(value, Enum):
            marks[field.name] = f"<{field.name}>"
        elif isinstance(value, int) and not isinstance(value, bool | Enum):
            marks[field.name] = 900_000_000 + number
    told = dataclasses.replace(event, **marks).aggregate
    for name, mark in marks.items():
        told = told.replace(str(mark), f"{{{name}}}")
    return told


def _read(kind: type[Event], sample: Mapping[str, Any]) -> Event:
    try:
        return decode(kind, kind.name, dict(sample))
    except Exception as error:
        raise ValueError(f"{kind.name} cannot read a sample of its own schema ({as_text(sample)}): {error}") from error


def _samples(schemas: Schemas, schema: Schema | bool, depth: int = 0) -> Iterator[Any]:
    """The first is the plainest whole one; each other differs from it in one place."""
    for shape in schemas.shapes(schema):
        yield from _of_shape(schemas, shape, depth)


def _of_shape(schemas: Schemas, shape: Shape, depth: int) -> Iterator[Any]:
    if "enum" in shape.keywords:
        yield from shape.keywords["enum"]
        return
    match shape.kind:
        case "object":
            yield from _objects(schemas, shape.keywords, depth)
        case "array":
            yield from _arrays(schemas, shape.keywords, depth)
        case "null":
            yield None
        case "boolean":
            yield from (True, False)
        case "integer" | "number":
            yield shape.keywords.get("minimum", 7)
        case "string":
            yield _text(shape.keywords)
        case _:
            yield "anything"


def _objects(schemas: Schemas, keywords: Schema, depth: int) -> Iterator[dict[str, Any]]:
    must = set(keywords.get("required", ()))
    forms = {
        name: list(_samples(schemas, schema, depth + 1))
        for name, schema in keywords.get("properties", {}).items()
        if name in must or depth < _MAX_DEPTH
    }
    plain = {name: values[0] for name, values in forms.items() if values}
    yield plain
    for name, values in forms.items():
        yield from ({**plain, name: value} for value in values[1:])
        if name not in must:
            yield {other: value for other, value in plain.items() if other != name}


def _arrays(schemas: Schemas, keywords: Schema, depth: int) -> Iterator[list[Any]]:
    if "prefixItems" in keywords:
        yield [next(_samples(schemas, schema, depth + 1)) for schema in keywords["prefixItems"]]
        return
    least = keywords.get("minItems", 0)
    if depth >= _MAX_DEPTH and not least:
        yield []
        return
    for item in _samples(schemas, keywords.get("items", True), depth + 1):
        yield [item] * max(1, least)
    if not least:
        yield []


def _text(keywords: Schema) -> str:
    if (known := _FORMATS.get(keywords.get("format", ""))) is not None:
        return known
    least, most = keywords.get("minLength", 0), keywords.get("maxLength")
    for text in _TEXTS:
        if re.search(keywords.get("pattern", ""), text) and least <= len(text) and (most is None or len(text) <= most):
            return text
    return "x" * max(int(least), 1)
