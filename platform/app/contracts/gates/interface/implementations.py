"""Implementations: the real service and the fake inherit what they stand for, and take and answer just what it says."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.contracts.finding import Finding
from app.contracts.surface import Sources, Surface, is_protocol, methods, parameters, plain, resolved
from kernel.module import Module


class Kind(NamedTuple):
    """A file of the module that has to hold an implementation."""

    rule: str
    file: str
    prefix: str


REAL = Kind("implementation", "service", "Database")
FAKE = Kind("fake", "fakes", "Fake")


class Implementations:
    """Of one module's doors. Raises whatever importing its service or fakes raises."""

    def __init__(self, surface: Surface, module: Module, sources: Sources) -> None:
        self.surface = surface
        self.sources = sources
        self.doors = [door.protocol for door in module.doors if is_protocol(door.protocol)]

    def found(self, kind: Kind) -> dict[type, type]:
        """Protocol -> the class that stands for it."""
        name = f"{self.surface.module}.{kind.file}"
        if importlib.util.find_spec(name) is None:
            return {}
        file = importlib.import_module(name)
        classes = [each for each in vars(file).values() if inspect.isclass(each) and each.__module__.startswith(file.__name__)]
        return {door: each for door in self.doors for each in reversed(classes) if door in each.__mro__}

    def check(self, kind: Kind) -> Iterator[Finding]:
        found = self.found(kind)
        names = {f"{kind.prefix}{door.__name__}" for door in self.doors}
        for door in self.doors:
            name = f"{kind.prefix}{door.__name__}"
            if door not in found:
                yield self._missing(kind, door, name)
                continue
            one = found[door]
            if one.__name__ not in names:
                where, line = self.sources.place(one)
                what = f"{one.__name__} stands for {door.__name__}, and its name does not say so."
                yield self._finding(kind, where, line, what, f"Call it {name}.")
            for method, function in methods(door).items():
                yield from self._method(kind, door, one, method, function)

    def _missing(self, kind: Kind, door: type, name: str) -> Finding:
        where = f"{self.surface.module}.{kind.file}"
        what = f"No class of {where} inherits {door.__name__}."
        fix = (
            f"Write `class {name}({door.__name__})`, or let the class that stands for the module's other doors inherit it too."
        )
        return self._finding(kind, self.sources.where(where), None, what, fix)

    def _method(self, kind: Kind, door: type, one: type, method: str, promised: Any) -> Iterator[Finding]:
        called = f"{one.__name__}.{method}"
        owner = next(base for base in one.__mro__ if method in vars(base))
        written = plain(vars(owner)[method])
        if is_protocol(owner) or written is None:
            where, line = self.sources.place(one)
            what = f"{called} is not there: calls end in the Protocol's own `...` and answer None."
            if any(method in vars(base) for base in one.__mro__ if not is_protocol(base)):
                fix = f"Put {door.__name__} last in the list of bases of {one.__name__}."
            else:
                fix = f"Write `{method}` as {door.__name__} declares it."
            yield self._finding(kind, where, line, what, fix)
            return
        where, line = self.sources.place(written)
        for what in _differences(written, promised):
            fix = f"Write the signature of {door.__name__}.{method}, to the letter; if that is wrong, change it there first."
            yield self._finding(kind, where, line, f"{called} {what}.", fix)

    def _finding(self, kind: Kind, where: str, line: int | None, what: str, fix: str) -> Finding:
        rule = f"interface/{kind.rule}"
        return Finding(rule=rule, module=self.surface.module, where=where, line=line, what=what, fix=fix)


def _differences(written: Any, promised: Any) -> Iterator[str]:
    """How a method departs from its Protocol's."""
    if inspect.iscoroutinefunction(written) != inspect.iscoroutinefunction(promised):
        yield "is async and the Protocol's is not, or the other way round"
    here = {parameter.name: parameter for parameter in parameters(written)}
    there = {parameter.name: parameter for parameter in parameters(promised)}
    for name in there:
        if name not in here:
            yield f"does not take `{name}`"
            continue
        if here[name].kind != there[name].kind:
            yield f"takes `{name}` in another way ({_said(here[name].kind)}, promised {_said(there[name].kind)})"
        if here[name].default != there[name].default:
            yield f"takes `{name}` with another default (it {_default(here[name])}, the Protocol {_default(there[name])})"
        yield from _types(f"takes `{name}` as", written, promised, here[name].annotation, there[name].annotation)
    yield from (f"takes `{name}`, which the Protocol does not name" for name in here if name not in there)
    answered = [inspect.signature(each).return_annotation for each in (written, promised)]
    yield from _types("answers", written, promised, *answered)


def _types(said: str, written: Any, promised: Any, here: Any, there: Any) -> Iterator[str]:
    if here is inspect.Parameter.empty and there is not inspect.Parameter.empty:
        yield f"{said} something without a type, promised {_text(there)}"
        return
    try:
        same = resolved(here, written.__module__) == resolved(there, promised.__module__)
    except Exception:  # a name that only the type checker sees: compare what is written
        same = _text(here) == _text(there)
    if not same:
        yield f"{said} {_text(here)}, promised {_text(there)}"


def _said(kind: Any) -> str:
    return str(kind.description)


def _default(parameter: inspect.Parameter) -> str:
    return "has none" if parameter.default is parameter.empty else f"has {parameter.default!r}"


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
