"""Announced: the events that one module promises, from the side of those who hear them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from app.contracts.gate import Bench
from app.contracts.promises.letters import aggregate_of, letters_of
from app.contracts.promises.places import Flow, Place
from app.contracts.promises.promise import Change, Document
from app.contracts.promises.schemas import Comparison
from app.contracts.promises.shapes import Schemas
from app.contracts.promises.words import without_words
from kernel.database.dispatching.decoding import Undecodable, decode
from kernel.pure.events import Event

EVENT_RULES: Final = {
    "removed-event": "An event goes on being announced, under its name.",
    "changed-aggregate": "An event stays about the same thing: its deliveries keep their order by that.",
    "undecodable": "What is in the outbox when the new code starts can be read by it.",
}


class _AsStored(GenerateJsonSchema):
    """The outbox writes a Decimal as a text, and the text of an event is not any text."""

    def decimal_schema(self, _: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "string", "format": "decimal"}

    def field_is_required(self, *_: Any, **__: Any) -> bool:
        """It writes every field, whether or not it has a default."""
        return True


def events_of(module: str) -> dict[str, type[Event]]:
    """The event classes of a module's interface, by their names. Raises whatever the import raises."""
    interface = importlib.import_module(f"{module}.interface")
    found = (value for value in vars(interface).values() if isinstance(value, type) and issubclass(value, Event))
    own = (kind for kind in found if f"{kind.__module__}.".startswith(f"{module}.interface."))
    return {kind.name: kind for kind in own if "name" in vars(kind)}


def describe(bench: Bench, module: str) -> Document | None:
    """The module's snapshot. None when it announces nothing, and never did."""
    if not (bench.root / "modules" / module / "interface.py").exists() and not _kept(bench, module):
        return None
    events = {name: _described(kind) for name, kind in sorted(events_of(module).items())}
    return {"events": events} if events or _kept(bench, module) else None


def _kept(bench: Bench, module: str) -> bool:
    return (bench.root / "modules" / module / "contracts" / "events.json").exists()


def _described(kind: type[Event]) -> dict[str, Any]:
    schema = schema_of(kind)
    letters = letters_of(kind, schema)
    return {"schema": schema, "aggregate": aggregate_of(kind, letters[0]), "letters": letters}


def schema_of(kind: type[Event]) -> dict[str, Any]:
    """Of the JSON that the outbox writes of such an event."""
    schema: dict[str, Any] = without_words(TypeAdapter(kind).json_schema(mode="serialization", schema_generator=_AsStored))
    return schema


def compare(kept: Document, now: Document) -> Iterator[Change]:
    """From the kept document to the one of now."""
    before, after = kept["events"], now["events"]
    for name in sorted(before.keys() - after.keys()):
        new = [other for other in sorted(after.keys() - before.keys()) if _same(before[name], after[other])]
        renamed = f" {new[0]} is new and of the same form: a new name is a removal for those who listen." if new else ""
        yield Change(rule="removed-event", where=name, what=f"The event is gone.{renamed}", breaking=True)
    for name in sorted(after.keys() - before.keys()):
        yield Change(rule="new-event", where=name, what="The event is new.", breaking=False)
    for name in sorted(before.keys() & after.keys()):
        if before[name]["aggregate"] != after[name]["aggregate"]:
            what = f"It was about {before[name]['aggregate']!r} and is about {after[name]['aggregate']!r}."
            yield Change(rule="changed-aggregate", where=name, what=what, breaking=True)
        yield from _compared(name, before[name], after[name])


def _compared(name: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    comparison = Comparison(Schemas(kept["schema"]), Schemas(now["schema"]), Flow.ANSWER, components=False)
    yield from comparison.compare(kept["schema"], now["schema"], Place(name, joint="."))


def _same(kept: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return not list(_compared("", kept, now))


def unreadable(_: Bench, module: str, kept: Document) -> Iterator[Change]:
    """Kept letters that today's classes cannot read."""
    classes = events_of(module)
    for name, described in sorted(kept["events"].items()):
        if name not in classes:
            continue
        for letter in described.get("letters", ()):
            try:
                decode(classes[name], name, letter)
            except Undecodable as error:
                what = f"A letter of the kept form cannot be read: {error}."
                yield Change(rule="undecodable", where=name, what=what, breaking=True)
                break
