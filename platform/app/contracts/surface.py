"""Surfaces: what a module's `interface.py` declares, imported, with the place of each thing in the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple, get_type_hints

from app.contracts.gate import Bench
from kernel.pure.events import Event

Node = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class Place(NamedTuple):
    where: str
    line: int | None = None


class Sources:
    """The project's files as syntax trees, each read once."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._nodes: dict[str, dict[str, Node]] = {}

    def node(self, thing: type | FunctionType) -> Node | None:
        """Where a class or function is defined. None when that is not in a file, or within another function."""
        return self._named(thing.__module__).get(thing.__qualname__)

    def place(self, thing: type | FunctionType, part: str = "") -> Place:
        """Of the class or function, or of one parameter or attribute of it; that of the whole when the part is not found."""
        node = self.node(thing)
        line = None if node is None else next((at for name, at in _parts(node) if name == part), node.lineno)
        return Place(self.where(thing.__module__), line)

    def where(self, module: str) -> str:
        """The file of an imported module."""
        file = getattr(sys.modules.get(module), "__file__", None)
        return self._bench.shown(Path(file)) if file else module

    def _named(self, module: str) -> dict[str, Node]:
        if module not in self._nodes:
            file = getattr(sys.modules.get(module), "__file__", None)
            tree = ast.parse(Path(file).read_text(encoding="utf-8")) if file else ast.Module(body=[], type_ignores=[])
            self._nodes[module] = dict(_definitions(tree))
        return self._nodes[module]


def _definitions(within: ast.AST, prefix: str = "") -> Iterator[tuple[str, Node]]:
    for node in ast.iter_child_nodes(within):
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _definitions(node, prefix)


def _parts(node: Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield statement.target.id, statement.lineno
            elif isinstance(statement, _FUNCTIONS):
                yield statement.name, statement.lineno
    else:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        yield from ((argument.arg, argument.lineno) for argument in every if argument is not None)


class Surface:
    """The interface of one module. What is only imported there belongs to others and is left out."""

    def __init__(self, module: str, interface: ModuleType) -> None:
        self.module = module
        self.interface = interface
        files = [sys.modules[name] for name in sorted(sys.modules) if self.is_home(name)]
        declared = {thing: None for file in files for thing in vars(file).values() if self.declares(thing)}
        self.classes: tuple[type, ...] = tuple(declared)
        self.functions: tuple[FunctionType, ...] = tuple(
            thing
            for file in files
            for name, thing in vars(file).items()
            if isinstance(thing, FunctionType) and self.is_home(thing.__module__) and not name.startswith("_")
        )
        """Those that stand by themselves, with public names."""

    @property
    def where(self) -> str:
        folder = hasattr(self.interface, "__path__")
        return f"modules/{self.module}/interface{'/__init__' if folder else ''}.py"

    @property
    def protocols(self) -> list[type]:
        return [each for each in self.classes if is_protocol(each)]

    @property
    def errors(self) -> list[type[BaseException]]:
        return [each for each in self.classes if issubclass(each, BaseException)]

    @property
    def enums(self) -> list[type[Enum]]:
        return [each for each in self.classes if issubclass(each, Enum)]

    @property
    def events(self) -> list[type[Event]]:
        return [each for each in self.classes if issubclass(each, Event)]

    @property
    def values(self) -> list[type]:
        """DTOs: every class that is nothing else."""
        others = {*self.protocols, *self.errors, *self.enums, *self.events}
        return [each for each in self.classes if each not in others]

    @property
    def constants(self) -> Mapping[str, Any]:
        """Values with public names that are assigned in the interface's own files."""
        return {name: vars(self.interface)[name] for name, _ in self._assigned() if name in vars(self.interface)}

    def place_of_constant(self, name: str) -> Place:
        return next((place for assigned, place in self._assigned() if assigned == name), Place(self.where))

    def is_home(self, name: str | None) -> bool:
        """Whether this is the name of the interface, or, when that is a folder, of a file in it."""
        home = f"{self.module}.interface"
        return name is not None and (name == home or name.startswith(f"{home}."))

    def declares(self, thing: object) -> bool:
        return inspect.isclass(thing) and self.is_home(thing.__module__)

    def _assigned(self) -> Iterator[tuple[str, Place]]:
        for module in [name for name in sorted(sys.modules) if self.is_home(name)]:
            inner = module.split(".")[2:]
            where = f"modules/{self.module}/interface/{'/'.join(inner)}.py" if inner else self.where
            for node in ast.parse(inspect.getsource(sys.modules[module])).body:
                targets = (
                    node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
                )
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                yield from ((name, Place(where, node.lineno)) for name in names if not name.startswith("_"))


def read_surface(module: str) -> Surface:
    """Raises whatever importing the interface raises."""
    return Surface(module, importlib.import_module(f"{module}.interface"))


def is_protocol(thing: object) -> bool:
    return inspect.isclass(thing) and getattr(thing, "_is_protocol", False) is True


def methods(protocol: type) -> dict[str, FunctionType]:
    """The public methods of a Protocol, also those of the Protocols that it extends; of a property, what computes it."""
    found: dict[str, FunctionType] = {}
    for base in protocol.__mro__:
        if is_protocol(base) and base.__module__ != "typing":
            for name, thing in vars(base).items():
                function = plain(thing)
                if not name.startswith("_") and function is not None:
                    found.setdefault(name, function)
    return found


def plain(thing: object) -> FunctionType | None:
    """The function in a method of any kind, past its decorators."""
    if isinstance(thing, (staticmethod, classmethod)):
        thing = thing.__func__
    elif isinstance(thing, property):
        thing = thing.fget
    unwrapped = inspect.unwrap(thing) if callable(thing) else thing
    return unwrapped if isinstance(unwrapped, FunctionType) else None


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Without the first one of a method, which is the object."""
    every = list(inspect.signature(function).parameters.values())
    return every[1:] if every and every[0].name in ("self", "cls") else every


def resolved(annotation: Any, module: str) -> Any:
    """What an annotation written in this module stands for. Raises NameError and the like when it stands for nothing."""
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    return get_type_hints(holder, globalns=vars(sys.modules[module]), include_extras=True)["it"]


def own_annotations(thing: type) -> dict[str, Any]:
    """Those of the class itself, as written."""
    return inspect.get_annotations(thing)
