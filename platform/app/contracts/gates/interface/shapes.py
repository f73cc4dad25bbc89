"""The shape of an interface: what its Protocols, DTOs, events and errors look like, and what crosses in them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import FunctionType, MappingProxyType
from typing import Any, Final

from app.contracts.finding import Finding
from app.contracts.gates.interface.crossing import strangers
from app.contracts.surface import Sources, Surface, is_protocol, methods, own_annotations, parameters, plain

NAMED_BADLY: Final = re.compile(r"^I[A-Z][a-z]|(Impl|Manager|Helper|Helpers|Util|Utils)$|^Abstract|^Base[A-Z]")
_BY_POSITION: Final[Mapping[Any, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "by position only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "also by position",
    inspect.Parameter.VAR_POSITIONAL: "in any number, by position",
    inspect.Parameter.VAR_KEYWORD: "under any name",
}


class Shapes:
    """The rules that an interface keeps by itself, whatever implements it."""

    def __init__(self, surface: Surface, sources: Sources) -> None:
        self.surface = surface
        self.sources = sources

    def check(self) -> Iterator[Finding]:
        yield from self._undocumented()
        yield from self._functions()
        yield from self._constants()
        for protocol in self.surface.protocols:
            yield from self._name(protocol)
            yield from self._attributes(protocol)
            for name, function in methods(protocol).items():
                yield from self._method(f"{protocol.__name__}.{name}", function)
        for value in self.surface.values:
            yield from self._value(value)
        for thing in (*self.surface.values, *self.surface.events, *self.surface.errors):
            yield from self._attributes(thing)

    def _finding(self, rule: str, thing: type | FunctionType, part: str, what: str, fix: str) -> Finding:
        where, line = self.sources.place(thing, part)
        return Finding(rule=f"interface/{rule}", module=self.surface.module, where=where, line=line, what=what, fix=fix)

    def _undocumented(self) -> Iterator[Finding]:
        for thing in self.surface.classes:
            if not thing.__name__.startswith("_") and not self._has_docstring(thing):
                fix = "Say in a docstring what it stands for, in a sentence that a member of another team understands."
                yield self._finding("undocumented", thing, "", f"{thing.__name__} has no docstring.", fix)
        for protocol in self.surface.protocols:
            for name, function in methods(protocol).items():
                if not self._has_docstring(function):
                    fix = "Say in its docstring, here on the Protocol: result, absence, errors, events, idempotency."
                    yield self._finding("undocumented", function, "", f"{protocol.__name__}.{name} has no docstring.", fix)

    def _has_docstring(self, thing: type | FunctionType) -> bool:
        # Not `__doc__`: dataclasses and Protocols come with one that says nothing.
        node = self.sources.node(thing)
        return node is None or bool((ast.get_docstring(node) or "").strip())

    def _functions(self) -> Iterator[Finding]:
        for function in self.surface.functions:
            what = f"{function.__name__} is a function of its own, and belongs to no Protocol."
            fix = (
                "Make it a method of a Protocol, so that a fake can stand in for it, or a property of the DTO that it reckons"
                " with; what only this module calls belongs inside it."
            )
            yield self._finding("loose-function", function, "", what, fix)

    def _constants(self) -> Iterator[Finding]:
        for name, value in self.surface.constants.items():
            if not _is_fixed(value):
                where, line = self.surface.place_of_constant(name)
                yield Finding(
                    rule="interface/mutable-constant",
                    module=self.surface.module,
                    where=where,
                    line=line,
                    what=f"{name} can be changed by whoever imports it: it is a {type(value).__name__}.",
                    fix="Write a tuple, a frozenset or a MappingProxyType of such; what changes belongs behind a method.",
                )

    def _name(self, protocol: type) -> Iterator[Finding]:
        if NAMED_BADLY.search(protocol.__name__):
            fix = "Name it by its role: CatalogService, CatalogReports."
            what = f"The Protocol {protocol.__name__} is named after its kind, not after what it does."
            yield self._finding("door-name", protocol, "", what, fix)

    def _method(self, called: str, function: FunctionType) -> Iterator[Finding]:
        module = function.__module__
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            fix = "Write a plain `def`: a call joins the transaction of the caller's thread."
            yield self._finding("foreign-type", function, "", f"{called} is async: its result is a coroutine.", fix)
        for parameter in parameters(function):
            by, name = _BY_POSITION.get(parameter.kind), parameter.name
            if by is not None:
                fix = "Write each parameter by name, behind `self, *,`."
                yield self._finding("positional-parameter", function, name, f"{called} takes `{name}` {by}.", fix)
            if parameter.annotation is parameter.empty:
                fix = f"Give `{name}` a type: `{name}: …`."
                yield self._finding("untyped", function, name, f"{called} takes `{name}`, which has no type.", fix)
            else:
                yield from self._foreign(function, name, f"{called} takes `{name}`", parameter.annotation, module)
        result = inspect.signature(function).return_annotation
        if result is inspect.Signature.empty:
            yield self._finding(
                "untyped", function, "", f"{called} does not say what it answers.", "Write `-> …:`, `-> None` too."
            )
        else:
            yield from self._foreign(function, "", f"{called} answers", result, module)

    def _foreign(self, thing: type | FunctionType, part: str, said: str, annotation: Any, module: str) -> Iterator[Finding]:
        for stranger in strangers(annotation, self.surface, module):
            yield self._finding("foreign-type", thing, part, f"{said}: {stranger.what}.", stranger.fix)

    def _attributes(self, thing: type) -> Iterator[Finding]:
        """Fields, properties and what an error is made from. A field says its type, or it is none."""
        name, module = thing.__name__, thing.__module__
        for attribute, annotation in own_annotations(thing).items():
            yield from self._foreign(thing, attribute, f"{name}.{attribute} is", annotation, module)
        functions = {} if is_protocol(thing) else {key: plain(member) for key, member in vars(thing).items()}
        for attribute, function in functions.items():
            if function is None or function.__module__ != module:
                continue
            if attribute == "__init__" and issubclass(thing, BaseException):
                for parameter in parameters(function):
                    if parameter.annotation is not parameter.empty and not _is_data(parameter):
                        said = f"{name} is made from `{parameter.name}`"
                        yield from self._foreign(function, parameter.name, said, parameter.annotation, module)
            elif not attribute.startswith("_"):
                result = inspect.signature(function).return_annotation
                if result is not inspect.Signature.empty:
                    yield from self._foreign(function, "", f"{name}.{attribute} answers", result, module)

    def _value(self, value: type) -> Iterator[Finding]:
        if fault := _fault(value):
            fix = f"Write `@dataclass(frozen=True, slots=True, kw_only=True)` above `class {value.__name__}:`."
            yield self._finding("mutable-dto", value, "", f"{value.__name__} {fault}.", fix)


def _is_fixed(value: object) -> bool:
    """Python makes what can be changed unhashable; a MappingProxyType is, by what it holds."""
    if isinstance(value, MappingProxyType):
        return all(_is_fixed(each) for each in value.values())
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_data(parameter: inspect.Parameter) -> bool:
    """`**data: object` is how the kernel's errors carry what programs need."""
    return parameter.kind is parameter.VAR_KEYWORD


def _fault(value: type) -> str:
    if not is_dataclass(value) or "__dataclass_params__" not in vars(value):
        return "is no frozen dataclass"
    options = vars(value)["__dataclass_params__"]
    if not options.frozen:
        return "is not frozen: who holds one can change it"
    if any(not field.kw_only for field in value.__dataclass_fields__.values()):
        return "can be made by position: it is not keyword-only"
    if "__slots__" not in vars(value):
        return "has no slots: it takes attributes that nobody declared"
    return ""
