"""What may cross a door: ids, values, containers that nobody can change, frozen DTOs of the same interface, declared errors."""

from __future__ import annotations

import collections.abc as abc
import inspect
from collections.abc import Iterator
from dataclasses import InitVar, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from app.contracts.surface import Surface, is_protocol, resolved
from kernel.pure.errors import DomainError
from kernel.pure.events import Event

VALUES: Final = frozenset({bool, int, str, bytes, Decimal, date, datetime, time, timedelta, UUID, NoneType})
CONTAINERS: Final = frozenset(
    {tuple, frozenset, abc.Sequence, abc.Mapping, abc.Set, abc.Collection, abc.Iterable, abc.Iterator}
)
_TRANSPARENT: Final = (Annotated, ClassVar, Final, Literal, Union, UnionType)
_CODE: Final = (abc.Callable, abc.Awaitable, abc.Coroutine, abc.Generator, abc.AsyncIterator, abc.AsyncIterable, type)
_MUTABLE: Final = {
    list: "Sequence[…] or tuple[…, ...]",
    dict: "Mapping[…, …], or a frozen DTO",
    set: "frozenset[…]",
    bytearray: "bytes",
    abc.MutableSequence: "Sequence[…]",
    abc.MutableMapping: "Mapping[…, …]",
    abc.MutableSet: "frozenset[…]",
}


class Stranger(NamedTuple):
    """A type that may not cross."""

    what: str
    """Completes "It is …"."""
    fix: str


def strangers(annotation: Any, surface: Surface, module: str) -> Iterator[Stranger]:
    """What may not cross in an annotation as it is written in `module`."""
    try:
        meant = resolved(annotation, module)
    except NameError as error:
        yield Stranger(
            f"{error.name}, a name that nothing has when the interface is imported",
            "Import it for good, not under TYPE_CHECKING only, so that the checks can see what it is.",
        )
    except Exception as error:  # evaluating an annotation runs whatever is written in it
        yield Stranger(f"no type ({type(error).__name__}: {error})", "Write a type that Python can evaluate.")
    else:
        yield from _strangers(meant, surface)


def _strangers(kind: Any, surface: Surface) -> Iterator[Stranger]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        arguments = tuple({type(value) for value in arguments})
    if origin in _TRANSPARENT:
        kinds = arguments[:1] if origin is Annotated else arguments
        yield from (found for each in kinds for found in _strangers(each, surface))
    elif isinstance(kind, (NewType, InitVar)) or type(kind).__name__ == "TypeAliasType":
        yield from _strangers(_behind(kind), surface)
    elif kind in VALUES:
        return
    elif _is_bare(kind, surface):
        name = getattr(kind, "__name__", str(kind))
        yield Stranger(f"a {name} of anything", f"Say of what: {name}[…].")
    elif origin in CONTAINERS:
        yield from (found for each in arguments if each is not ... for found in _strangers(each, surface))
    elif inspect.isclass(origin or kind) and _is_pure(origin or kind):
        yield from _of_the_kernel(origin or kind)
        yield from (found for each in arguments for found in _strangers(each, surface))
    else:
        yield from _refused(kind, origin or kind, surface)


def _behind(kind: Any) -> Any:
    """What a NewType, an InitVar or a `type` statement gives another name to."""
    return next(getattr(kind, name) for name in ("__supertype__", "__value__", "type") if hasattr(kind, name))


def _is_bare(kind: Any, surface: Surface) -> bool:
    """`Sequence`, `typing.Sequence` or `Page` alone; `tuple[()]` is not."""
    if get_origin(kind) is None:
        may_cross = inspect.isclass(kind) and (surface.declares(kind) or _is_pure(kind))
        return kind in CONTAINERS or (may_cross and bool(getattr(kind, "__parameters__", ())))
    return get_origin(kind) in CONTAINERS and not get_args(kind) and not isinstance(kind, GenericAlias)


def _is_pure(kind: type) -> bool:
    return kind.__module__.startswith("kernel.pure.") and not is_protocol(kind)


def _of_the_kernel(kind: type) -> Iterator[Stranger]:
    if issubclass(kind, (Enum, Event, DomainError)) or _is_all_values(kind):
        return
    yield Stranger(f"{kind.__name__} of the kernel, which is more than a value", _WIRE)


def _is_all_values(kind: type) -> bool:
    if not is_dataclass(kind) or not vars(kind)["__dataclass_params__"].frozen:
        return False
    # No module's surface: the kernel's own values refer to each other at most.
    hints = [resolved(field.type, kind.__module__) for field in fields(kind)]
    return not any(get_origin(hint) in _CODE for hint in hints)


_WIRE: Final = "Ask for it in container.py, where it is wired; let ids and values cross."


def _refused(kind: Any, base: Any, surface: Surface) -> Iterator[Stranger]:
    if kind is Any or kind is object:
        named = "Any" if kind is Any else "object"
        yield Stranger(f"{named}, which says nothing", f"Say what it is: an id, a value, or a frozen DTO of {surface.where}.")
    elif base in _MUTABLE:
        yield Stranger(f"a {base.__name__}, which whoever holds it can change", f"Write {_MUTABLE[base]}.")
    elif base is float or base is complex:
        yield Stranger(f"a {base.__name__}, which is not exact", "Write Decimal, or int of the smallest unit.")
    elif isinstance(kind, TypeVar):
        yield Stranger(f"the type variable {kind.__name__}", "Write the types out, a method for each.")
    elif base in _CODE:
        yield Stranger(
            f"code ({_shown(kind)})", "Let values cross; what is to happen later is an event that the other one hears."
        )
    elif inspect.isclass(base):
        if not surface.declares(base) or is_protocol(base):
            yield _class(base, surface)
    else:
        yield Stranger(f"{_shown(kind)}, which is no value", f"Write an id, a value, or a frozen DTO of {surface.where}.")


def _class(kind: type, surface: Surface) -> Stranger:
    name = kind.__name__
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__}
    package = kind.__module__.partition(".")[0]
    copied = f"Copy what is needed into a frozen DTO of {surface.where}"
    if is_protocol(kind):
        return Stranger(f"the Protocol {name}: something to call, no value", _WIRE)
    if "sqlalchemy" in packages:
        return _of_sqlalchemy(kind, copied)
    if "pydantic" in packages:
        return Stranger(f"the HTTP schema {name}", f"{copied}; schemas.py makes the schema from it.")
    if packages & {"starlette", "fastapi", "httpx", "requests"}:
        return Stranger(f"{name} of HTTP", "Let the router read what is needed and pass it on as values.")
    if package == surface.module:
        return Stranger(f"{name}, which is private ({kind.__module__})", f"{copied}, or move the class there if it is one.")
    if kind.__module__.endswith(".interface"):
        return Stranger(f"{name} of {package}", f"{copied}: who knows {surface.module} need not know {package}.")
    if package == "kernel":
        return Stranger(f"{name} of {kind.__module__}", _WIRE)
    return Stranger(f"{kind.__module__}.{name}, which is no plain value", f"{copied}, or write an id or a value.")


def _of_sqlalchemy(kind: type, copied: str) -> Stranger:
    if hasattr(kind, "__table__") or kind.__module__.partition(".")[0] != "sqlalchemy":
        return Stranger(f"the SQLAlchemy model {kind.__name__}", f"{copied} (row → DTO, in the service).")
    if "Row" in kind.__name__ or "Result" in kind.__name__ or "Mapping" in kind.__name__:
        return Stranger(f"{kind.__name__}, rows of SQLAlchemy", f"{copied} (row → DTO, in the service).")
    return Stranger(
        f"{kind.__name__} of SQLAlchemy",
        "Leave it out: a call joins the running transaction by itself (`self._database.transaction()`).",
    )


def _shown(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind).removeprefix("typing.")
