"""Errors that cross a door: declared in the interface, with a code of their own, and named by the methods that raise them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Final, NamedTuple

from app.contracts.finding import Finding
from app.contracts.gates.interface.raising import Paths, Raised
from app.contracts.surface import Place, Sources, Surface, methods, plain
from kernel.pure import errors as kinds
from kernel.pure.errors import DomainError

_PROSE: Final = frozenset({"None", "Those", "As", "The", "Any", "All", "What", "Whatever"})
_PARENTHESIS: Final = re.compile(r"\([^()]*\)")
_PARAGRAPH: Final = re.compile(r"\bErrors:(.*?)(?:\.(?=\s+[A-Z])|\n\s*\n|\Z)", re.DOTALL)
_WORD: Final = re.compile(r"`([\w.]+)(?:\(\))?`|(?<![\w`.])([A-Z][a-z]+(?:[A-Z][a-z0-9]*)*)(?![\w`])")


class Said(NamedTuple):
    """What stands behind `Errors:`; `references` are methods whose errors are meant, too."""

    errors: tuple[str, ...]
    references: tuple[str, ...]


def said(docstring: str) -> Said:
    """Remarks in parentheses are left out; the list ends with its sentence."""
    errors, references = [], []
    while (shorter := _PARENTHESIS.sub("", docstring)) != docstring:
        docstring = shorter
    for paragraph in _PARAGRAPH.findall(docstring):
        for reference, error in _WORD.findall(paragraph):
            if "." in reference or reference[:1].islower():
                references.append(reference)
            elif (reference or error) not in _PROSE:
                errors.append(reference or error)
    return Said(tuple(dict.fromkeys(errors)), tuple(dict.fromkeys(references)))


class Errors:
    """What one interface declares and says of errors."""

    def __init__(self, surface: Surface, surfaces: Mapping[str, Surface], sources: Sources) -> None:
        self.surface = surface
        self.surfaces = surfaces
        self.sources = sources

    def check(self) -> Iterator[Finding]:
        for error in self.surface.errors:
            yield from self._identity(error)
        for protocol in self.surface.protocols:
            for name, function in methods(protocol).items():
                for word in self._unknown(protocol, function):
                    what = f"{protocol.__name__}.{name} names {word}, which is neither here nor in the kernel."
                    fix = f"Name the error that is raised, and declare it in {self.surface.where} if it is not yet."
                    yield self._finding("unknown-error", self.sources.place(function), what, fix)

    def raised(self, real: Mapping[type, type], fake: Mapping[type, type]) -> Iterator[Finding]:
        """Whether what implementations raise is declared and said."""
        paths = Paths(self.surface.module, self.sources)
        for protocol, one in [*real.items(), *fake.items()]:
            for name, promised in methods(protocol).items():
                written = plain(inspect.getattr_static(one, name, None))
                if written is not None:
                    found = sorted(paths.raised(written, one), key=lambda each: each.error.__qualname__)
                    yield from self._crossing(protocol, name, promised, found)

    def _identity(self, error: type[BaseException]) -> Iterator[Finding]:
        name, place = error.__name__, self.sources.place(error)
        if not issubclass(error, DomainError):
            what = f"{name} is no DomainError: whoever lets it pass answers 500."
            fix = "Derive it from a kind of kernel.pure.errors: NotFound, Conflict, Invalid, Forbidden …"
            yield self._finding("error-identity", place, what, fix)
            return
        if DomainError in error.__bases__:
            what = f"{name} is of no kind: no status stands for it."
            yield self._finding("error-identity", place, what, "Derive it from NotFound, Conflict, Invalid, Forbidden …")
        lacking = [word for word in ("code", "title") if not str(vars(error).get(word, "")).strip()]
        if lacking and not name.startswith("_"):
            what = f"{name} has no {' and no '.join(lacking)} of its own."
            fix = 'Write `code = "…"` (stable: clients know the problem by it) and `title = "…"` in the class.'
            yield self._finding("error-identity", place, what, fix)

    def _unknown(self, protocol: type, function: FunctionType) -> Iterator[str]:
        mentioned = said(function.__doc__ or "")
        yield from (f"the error {word}" for word in mentioned.errors if self._error(word) is None)
        yield from (f"the errors of {word}" for word in mentioned.references if self._method(protocol, word) is None)

    def _error(self, name: str) -> type[BaseException] | None:
        found = vars(self.surface.interface).get(name) or getattr(kinds, name, None)
        return found if inspect.isclass(found) and issubclass(found, BaseException) else None

    def _method(self, protocol: type, reference: str) -> tuple[type, FunctionType] | None:
        """`reserve` of the same Protocol, or `CatalogService.reserve` of any module's."""
        owner, _, name = reference.rpartition(".")
        every = [each for surface in self.surfaces.values() for each in surface.protocols]
        owners = [each for each in every if each.__name__ == owner] if owner else [protocol]
        return next(((each, methods(each)[name]) for each in owners if name in methods(each)), None)

    def _promised(self, protocol: type, function: FunctionType) -> set[type[BaseException]]:
        mentioned = said(function.__doc__ or "")
        errors = {error for word in mentioned.errors if (error := self._error(word)) is not None}
        for word in mentioned.references:
            found = self._method(protocol, word)
            if found is not None and found[1] is not function:
                errors |= self._promised(*found)
        return errors

    def _crossing(self, protocol: type, name: str, promised: FunctionType, found: list[Raised]) -> Iterator[Finding]:
        expected = tuple(self._promised(protocol, promised))
        for error, maker in found:
            if not self._is_ours(error):
                continue
            place = self.sources.place(maker)
            if not self._is_declared(error):
                what = f"{protocol.__name__}.{name} can raise {error.__name__} of {error.__module__}, which is private."
                fix = f"Move {error.__name__} to {self.surface.where}, or raise an error that is declared there."
                yield self._finding("undeclared-error", place, what, fix)
            elif not issubclass(error, expected):
                what = f"{protocol.__name__}.{name} can raise {error.__name__}, and does not say so."
                fix = f"Name it behind `Errors:` in the docstring of {protocol.__name__}.{name}, or catch it."
                yield self._finding("undocumented-error", place, what, fix)

    def _is_ours(self, error: type[BaseException]) -> bool:
        """What Python or a library raises is a mistake, not an answer."""
        return issubclass(error, DomainError) or error.__module__.partition(".")[0] == self.surface.module

    def _is_declared(self, error: type[BaseException]) -> bool:
        home = error.__module__
        return home == kinds.__name__ or any(surface.is_home(home) for surface in self.surfaces.values())

    def _finding(self, rule: str, place: Place, what: str, fix: str) -> Finding:
        module = self.surface.module
        return Finding(rule=f"interface/{rule}", module=module, where=place.where, line=place.line, what=what, fix=fix)


def duplicate_codes(sources: Sources, owner_of: Mapping[str, str]) -> Iterator[Finding]:
    """Codes end up in the `type` of problems, where nobody sees whose they are. `owner_of` maps package to owner."""
    by_code: dict[str, list[type[DomainError]]] = {}
    for error in sorted(_all(DomainError), key=lambda each: (each.__module__, each.__qualname__)):
        if "code" in vars(error) and error.__module__.partition(".")[0] in owner_of:
            by_code.setdefault(error.code, []).append(error)
    for code, errors in by_code.items():
        for error in errors if len(errors) > 1 else ():
            package = error.__module__.partition(".")[0]
            if package == "kernel" and any(not other.__module__.startswith("kernel.") for other in errors):
                continue  # the others have to give way
            rivals = ", ".join(f"{other.__module__}.{other.__name__}" for other in errors if other is not error)
            place = sources.place(error)
            yield Finding(
                rule="interface/duplicate-error-code",
                module=owner_of[package],
                where=place.where,
                line=place.line,
                what=f"{error.__name__} has the code {code!r}, which is also that of {rivals}.",
                fix="Give the younger one another code: clients tell errors apart by it.",
            )


def _all(error: type[DomainError]) -> set[type[DomainError]]:
    return {error, *(found for child in error.__subclasses__() for found in _all(child))}
