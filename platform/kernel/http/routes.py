"""Routers: what a module's endpoints are, declared once, with who may call them and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, ParamSpec, TypedDict, TypeVar, Unpack

from starlette.responses import Response

from kernel.http.access import Access
from kernel.pure.errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")


class Idempotency(Enum):
    """Whether a request carries an Idempotency-Key, so that a repeat is answered and not done again."""

    REQUIRED = "required"
    ACCEPTED = "accepted"
    RESUMED = "resumed"
    """Required, for work that goes on outside after its first commit. The endpoint only begins: what it stores commits with
    the key, and it answers that attempt's id. `resume=` goes on from there, outside of any transaction; a repeat of the
    request begins nothing and resumes the same attempt."""


Resume = Callable[[int, Any, Response], Any]

FROM_ANNOTATION: Final[Any] = object()


class RouteOptions(TypedDict, total=False):
    """What every decorator takes besides its path and `allow=`."""

    status_code: int
    """Default: 200, or 204 for an endpoint that returns None."""
    response: Any
    """What the answer is serialised and documented as, when that is not the return annotation."""
    errors: Sequence[type[DomainError]]
    """Domain errors that clients should expect, for the documentation."""
    tagged: bool
    """The endpoint sets the answer's ETag. Those that take If-Match or If-None-Match do so anyhow."""
    idempotent: Idempotency
    resume: Resume
    """With RESUMED: called with the attempt's id, the caller and the answer, of which it may set status and headers."""
    request_body: Mapping[str, Any]
    """What OpenAPI says of a body that the endpoint takes as `RawBody`."""
    summary: str
    """Default: the function's name. The description is its docstring."""
    responses: Mapping[int | str, dict[str, Any]]
    """More documentation of answers, in OpenAPI's own words."""
    max_body: int
    """Bytes; default: the application's limit."""
    gate: AbstractAsyncContextManager[Any]
    """Held on the event loop around the hop, such as a semaphore for calls that need a whole core."""
    include_in_schema: bool
    deprecated: bool


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One endpoint as its module declares it; `mount` makes a route of it for each application."""

    module: str
    method: str
    path: str
    endpoint: Callable[..., Any]
    allow: Access
    tags: Sequence[str]
    status_code: int | None = None
    response: Any = FROM_ANNOTATION
    errors: Sequence[type[DomainError]] = ()
    tagged: bool = False
    idempotent: Idempotency | None = None
    resume: Resume | None = None
    request_body: Mapping[str, Any] | None = None
    summary: str | None = None
    responses: Mapping[int | str, dict[str, Any]] = field(default_factory=dict)
    max_body: int | None = None
    gate: AbstractAsyncContextManager[Any] | None = None
    include_in_schema: bool = True
    deprecated: bool | None = None

    @property
    def operation_id(self) -> str:
        return f"{self.module}_{self.endpoint.__name__}"

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.operation_id})"


class Router:
    """The endpoints of one module below one full prefix; never nested.

    Endpoints are plain typed functions. Each request runs its endpoint whole in one hop, again when the kernel retries.
    """

    def __init__(self, *, module: str, prefix: str, tags: Sequence[str] | None = None) -> None:
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ValueError(f"The prefix {prefix!r} has to start with a slash and to end without one.")
        self.module = module
        self.prefix = prefix
        self.tags = list(tags) if tags is not None else [module]
        self.declarations: list[Declaration] = []

    def get(self, path: str, *, allow: Access, **options: Unpack[RouteOptions]) -> Callable[[Callable[P, R]], Callable[P, R]]:
        return self._declare("GET", path, allow, options)

    def post(self, path: str, *, allow: Access, **options: Unpack[RouteOptions]) -> Callable[[Callable[P, R]], Callable[P, R]]:
        return self._declare("POST", path, allow, options)

    def put(self, path: str, *, allow: Access, **options: Unpack[RouteOptions]) -> Callable[[Callable[P, R]], Callable[P, R]]:
        return self._declare("PUT", path, allow, options)

    def patch(self, path: str, *, allow: Access, **options: Unpack[RouteOptions]) -> Callable[[Callable[P, R]], Callable[P, R]]:
        return self._declare("PATCH", path, allow, options)

    def delete(
        self, path: str, *, allow: Access, **options: Unpack[RouteOptions]
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        return self._declare("DELETE", path, allow, options)

    def _declare(
        self, method: str, path: str, allow: Access, options: RouteOptions
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        def decorate(endpoint: Callable[P, R]) -> Callable[P, R]:
            self.declarations.append(
                Declaration(
                    module=self.module,
                    method=method,
                    path=self.prefix + path.rstrip("/"),
                    endpoint=endpoint,
                    allow=allow,
                    tags=self.tags,
                    **options,
                )
            )
            return endpoint

        return decorate
