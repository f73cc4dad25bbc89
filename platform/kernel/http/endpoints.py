"""What an endpoint's signature says, read once at mount; what would cost a second hop is refused there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.background import BackgroundTasks
from starlette.responses import Response

from kernel.http.access import CallerParameter
from kernel.http.routes import FROM_ANNOTATION, Declaration, Idempotency
from kernel.pure.values import Page

_LISTS: Final = (list, tuple, set, frozenset, Sequence)


@dataclass(frozen=True, kw_only=True)
class EndpointShape:
    """`signature` is what the framework sees: the endpoint's own without what the route fills in itself."""

    signature: inspect.Signature
    returned: Any
    """What the answer is serialised as; None when there is no body, or the endpoint makes the answer itself."""
    returns_nothing: bool
    caller: str | None
    optional_caller: bool
    response: str | None

    def success_status(self, declared: Declaration) -> int:
        return declared.status_code or (204 if self.returns_nothing else 200)

    @property
    def returns_page(self) -> bool:
        return get_origin(self.returned) is Page

    @property
    def takes_body(self) -> bool:
        return any(_is_body(parameter.annotation) for parameter in self.signature.parameters.values())

    def body_kind(self, body_field: Any) -> str | None:
        if body_field is None:
            return None
        return "form" if isinstance(body_field.field_info, params.Form) else "json"


def read_shape(declared: Declaration) -> EndpointShape:
    """Errors: TypeError, naming the route and the fix."""
    signature = _signature(declared)
    caller: inspect.Parameter | None = None
    response: inspect.Parameter | None = None
    seen: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        _check_parameter(declared, parameter)
        if _caller_mark(parameter) is not None:
            caller = parameter
        elif isinstance(parameter.annotation, type) and issubclass(parameter.annotation, Response):
            response = parameter
        else:
            seen.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    optional = _check_caller(declared, caller)
    returned = signature.return_annotation if declared.response is FROM_ANNOTATION else declared.response
    if declared.method == "GET" and any(_is_list(kind) for kind in _alternatives(returned)):
        raise TypeError(f"{declared}: a bare list has no end; answer a `Page`, which a `Keyset` makes of what was found.")
    nothing = returned is None or returned is type(None)
    raw = isinstance(returned, type) and issubclass(returned, Response)
    return EndpointShape(
        signature=signature.replace(parameters=seen, return_annotation=Response),
        returned=None if nothing or raw else returned,
        returns_nothing=nothing,
        caller=None if caller is None else caller.name,
        optional_caller=optional,
        response=None if response is None else response.name,
    )


def _signature(declared: Declaration) -> inspect.Signature:
    endpoint = declared.endpoint
    if inspect.iscoroutinefunction(endpoint) or inspect.isgeneratorfunction(endpoint) or inspect.isasyncgenfunction(endpoint):
        raise TypeError(f"{declared}: endpoints are plain functions; write `def` and return: the route runs it in one hop.")
    try:
        signature = inspect.signature(endpoint, eval_str=True)
    except NameError as error:
        raise TypeError(f"{declared}: {error}. Import what annotations name at the top of the file.") from error
    if signature.return_annotation is inspect.Signature.empty:
        raise TypeError(f"{declared}: annotate what it returns; the answer is serialised and documented from that.")
    if declared.idempotent is not None and not declared.allow.signed_in:
        raise TypeError(f"{declared}: an Idempotency-Key belongs to a caller; set allow=SIGNED_IN or a role.")
    if (declared.idempotent is Idempotency.RESUMED) is not (declared.resume is not None):
        raise TypeError(f"{declared}: idempotent=Idempotency.RESUMED and resume= go together.")
    if declared.resume is not None and (signature.return_annotation is not int or declared.response is FROM_ANNOTATION):
        raise TypeError(f"{declared}: a resumed endpoint answers the attempt's id; annotate `-> int`, and set response=.")
    return signature


def _check_parameter(declared: Declaration, parameter: inspect.Parameter) -> None:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise TypeError(f"{declared}: name each parameter in place of *{parameter.name}.")
    if parameter.annotation is inspect.Parameter.empty:
        raise TypeError(f"{declared}: annotate the parameter {parameter.name!r}.")
    if isinstance(parameter.annotation, type) and issubclass(parameter.annotation, BackgroundTasks):
        raise TypeError(f"{declared}: publish an event in place of a background task, which a crash would lose.")
    if any(_is_wiring_marker(value) for value in _injected(parameter)):
        raise TypeError(f"{declared}: {parameter.name!r} is wired per request; build the router around its service instead.")


def _injected(parameter: inspect.Parameter) -> Iterator[object]:
    for value in (parameter.default, *get_args(parameter.annotation)):
        yield value
        if isinstance(value, params.Depends):
            yield value.dependency


def _is_body(annotation: Any) -> bool:
    """As the framework decides: a model is one unless it is marked as something else."""
    marks = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
    if any(isinstance(mark, params.Body) for mark in marks):
        return True
    return not marks and isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_wiring_marker(value: object) -> bool:
    return type(value).__module__.startswith("dependency_injector") or (
        isinstance(value, type) and value.__module__.startswith("dependency_injector")
    )


def _caller_mark(parameter: inspect.Parameter) -> CallerParameter | None:
    if get_origin(parameter.annotation) is not Annotated:
        return None
    return next((mark for mark in parameter.annotation.__metadata__ if isinstance(mark, CallerParameter)), None)


def _check_caller(declared: Declaration, caller: inspect.Parameter | None) -> bool:
    mark = None if caller is None else _caller_mark(caller)
    if mark is None:
        return False
    if declared.allow.signed_in and mark.optional:
        raise TypeError(f"{declared}: callers are signed in here; take `Caller` in place of `OptionalCaller`.")
    if not declared.allow.signed_in and not mark.optional:
        raise TypeError(f"{declared}: ANYONE may call without a token; take `OptionalCaller`, or set allow=SIGNED_IN.")
    return mark.optional


def refuse_hops_in_dependencies(declared: Declaration, dependant: Dependant) -> None:
    """Errors: TypeError for a dependency that is not a coroutine function: it would run in a hop, or around the answer."""
    for dependency in dependant.dependencies:
        call: Any = dependency.call
        name = getattr(call, "__name__", repr(call))
        method = getattr(call, "__call__", None)  # noqa: B004 -- its kind matters, not whether it is there
        kinds = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        if any(kind(call) or kind(method) for kind in kinds):
            raise TypeError(f"{declared}: the dependency {name} is a generator; let the service open and close what it needs.")
        if not (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(method)):
            raise TypeError(f"{declared}: the dependency {name} would cost a second hop; make it `async def`, without I/O.")
        if any(_is_wiring_marker(p.default) for p in inspect.signature(call).parameters.values()):
            raise TypeError(f"{declared}: the dependency {name} is wired per request; build the router around its service.")
        refuse_hops_in_dependencies(declared, dependency)


def query_parameters(dependant: Dependant) -> dict[str, bool]:
    """The names of the query parameters, and whether each may be given more than once."""
    names: dict[str, bool] = {}
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        model = next(
            (kind for kind in _alternatives(annotation) if inspect.isclass(kind) and issubclass(kind, BaseModel)), None
        )
        if model is None:
            names[parameter.alias] = _is_list(annotation)
            continue
        for name, field in model.model_fields.items():
            names[field.alias or name] = _is_list(field.annotation)
    for dependency in dependant.dependencies:
        names |= query_parameters(dependency)
    return names


def _alternatives(annotation: Any) -> Iterable[Any]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_list(annotation: Any) -> bool:
    return any((get_origin(kind) or kind) in _LISTS for kind in _alternatives(_bare(annotation)))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
