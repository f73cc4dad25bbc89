"""Decoding: from the JSON of the outbox back to the publisher's event."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from kernel.pure.events import Event

E = TypeVar("E", bound=Event)

_adapters: Final[dict[type[Event], TypeAdapter[Any]]] = {}


class Undecodable(Exception):
    """The stored event is not what the listener waits for, and no repeat will change that."""


def decode(kind: type[E], name: str, payload: Any) -> E:
    """Fields that this code does not know are passed over: a newer publisher may have added them. Errors: Undecodable."""
    if name != kind.name:
        raise Undecodable(f"the event is {name}, and the listener waits for {kind.name}")
    try:
        event: E = _adapter_of(kind).validate_python(payload)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        what = "; ".join(f"{'.'.join(str(part) for part in detail['loc']) or 'payload'}: {detail['msg']}" for detail in found)
        raise Undecodable(f"the payload does not fit {name}: {what}") from error
    return event


def _adapter_of(kind: type[Event]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
