"""Describing: an interface as plain JSON values, the same for the same interface."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

from app.contracts.gate import Bench
from app.contracts.promises.promise import Document
from app.contracts.surface import Sources, Surface, methods, own_annotations, parameters, plain, read_surface, resolved
from kernel.module import Module
from kernel.pure import errors as kinds
from kernel.pure.errors import DomainError

EVERYBODY: Final = "everybody"
WORD: Final = re.compile(r"[A-Za-z_][\w.]*")


def describe(bench: Bench, name: str) -> Document | None:
    """Raises whatever importing the module raises."""
    surface = read_surface(name)
    module: Module = importlib.import_module(f"{name}.module").module
    sources = Sources(bench)
    document: Document = {
        "doors": {door.protocol.__name__: EVERYBODY if door.to is None else sorted(door.to) for door in module.doors},
        "protocols": {each.__name__: _protocol(each, surface) for each in surface.protocols},
        "values": {each.__name__: dict(_fields(each, surface)) for each in _public(surface.values)},
        "enums": {each.__name__: _members(each) for each in _public(surface.enums)},
        "errors": {each.__name__: _error(each, surface, sources) for each in _public(surface.errors)},
        "constants": {name: _constant(value, surface) for name, value in surface.constants.items()},
    }
    if not any(document.values()):
        return None
    return {"module": name, **document, "announced": _announced(surface, document)}


def _public(things: list[Any]) -> Iterator[type[Any]]:
    return (thing for thing in things if not thing.__name__.startswith("_"))


def _protocol(protocol: type, surface: Surface) -> Document:
    return {
        name: {
            "parameters": {
                parameter.name: {
                    "type": shown(parameter.annotation, function.__module__, surface),
                    "optional": parameter.default is not parameter.empty,
                }
                for parameter in parameters(function)
            },
            "result": shown(inspect.signature(function).return_annotation, function.__module__, surface),
        }
        for name, function in methods(protocol).items()
    }


def _fields(value: type, surface: Surface) -> Iterator[tuple[str, Document]]:
    """Those that a caller gives, and those that the value computes."""
    known = {field.name: field for field in fields(value)} if is_dataclass(value) else {}
    for base in reversed(value.__mro__):
        for name, annotation in own_annotations(base).items() if base is not object else ():
            if name in known or not known:
                yield name, {"type": shown(annotation, base.__module__, surface), **_given(known.get(name))}
        for name, member in vars(base).items():
            function = plain(member) if isinstance(member, property) else None
            if function is not None and not name.startswith("_"):
                result = inspect.signature(function).return_annotation
                yield name, {"type": shown(result, function.__module__, surface), "computed": True}


def _given(field: Any) -> Document:
    if field is None:
        return {"optional": False}
    if not field.init:
        return {"computed": True}
    return {"optional": field.default is not MISSING or field.default_factory is not MISSING}


def _members(enum: type[Enum]) -> Document:
    return {name: _plain(member.value) for name, member in enum.__members__.items()}


def _error(error: type[BaseException], surface: Surface, sources: Sources) -> Document:
    bases = [base for base in error.__mro__[1:] if issubclass(base, DomainError) and base is not DomainError]
    kind = next((base.__name__ for base in error.__mro__ if base.__module__ == kinds.__name__), "")
    return {
        "code": getattr(error, "code", None),
        "title": getattr(error, "title", None),
        "kind": kind,
        "bases": [base.__name__ for base in bases],
        "attributes": dict(_attributes(error, surface, sources)),
    }


def _attributes(error: type[BaseException], surface: Surface, sources: Sources) -> Iterator[tuple[str, str]]:
    """What the class annotates, and what its own `__init__` puts on the error, with the type of the parameter of that name."""
    for name, annotation in own_annotations(error).items():
        if not name.startswith("_") and name not in ("code", "title"):
            yield name, shown(annotation, error.__module__, surface)
    made = plain(vars(error).get("__init__"))
    node = None if made is None else sources.node(made)
    if made is None or node is None:
        return
    given = {parameter.name: parameter.annotation for parameter in parameters(made)}
    for target in (
        target for each in ast.walk(node) if isinstance(each, (ast.Assign, ast.AnnAssign)) for target in _targets(each)
    ):
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and not target.attr.startswith("_"):
            yield target.attr, shown(given[target.attr], error.__module__, surface) if target.attr in given else "?"


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _announced(surface: Surface, document: Mapping[str, Any]) -> list[str]:
    """DTOs and enums that events carry."""
    own = {**document["values"], **document["enums"]}
    texts = [shown(each, event.__module__, surface) for event in surface.events for each in own_annotations(event).values()]
    return sorted({word for text in texts for word in WORD.findall(text) if word in own})


def _constant(value: Any, surface: Surface) -> Any:
    """The value; of another name for a type, that type."""
    if isinstance(value, NewType):
        return f"a kind of {_text(value.__supertype__, surface)}"
    is_type = inspect.isclass(value) or get_origin(value) is not None
    return _text(value, surface) if is_type else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, str)) or value is None:
        return value if type(value) in (bool, int, str, type(None)) else _plain(getattr(value, "value", str(value)))
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(each) for each in value), key=str)
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    return str(value)


def shown(annotation: Any, module: str, surface: Surface) -> str:
    """An annotation as text: aliases opened, alternatives sorted; the interface's own classes by their name alone."""
    if annotation is inspect.Parameter.empty:
        return "?"
    try:
        return _text(resolved(annotation, module), surface)
    except Exception:  # what cannot be evaluated is told by another rule
        return str(annotation)


def _text(kind: Any, surface: Surface) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is type(None):
        return "None"
    if kind is ...:
        return "..."
    if isinstance(kind, NewType):
        # At run time it is nothing else.
        return _text(kind.__supertype__, surface)
    if origin is Annotated:
        return _text(arguments[0], surface)
    if origin is Literal:
        return f"Literal[{', '.join(sorted(map(repr, arguments)))}]"
    if origin in (Union, UnionType):
        parts = sorted({_text(each, surface) for each in arguments} - {"None"})
        return " | ".join([*parts, *(["None"] if type(None) in arguments else [])])
    if arguments:
        return f"{_name(origin, surface)}[{', '.join(_text(each, surface) for each in arguments)}]"
    return _name(kind, surface)


def _name(kind: Any, surface: Surface) -> str:
    name = getattr(kind, "__qualname__", None) or str(kind)
    home = getattr(kind, "__module__", "")
    if surface.declares(kind) or home.partition(".")[0] not in ("kernel", "app", surface.module):
        return str(name)
    return f"{home}.{name}"
