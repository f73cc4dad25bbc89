"""The route class: a whole call in one hop of the executor, from the endpoint to the answer's bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from kernel.database.call import authenticated, run_call
from kernel.database.unit_of_work import Database
from kernel.http import current
from kernel.http.access import authenticate
from kernel.http.bodies import JsonRequest, require_form, require_json, require_plain
from kernel.http.endpoints import EndpointShape, query_parameters, read_shape, refuse_hops_in_dependencies
from kernel.http.executor import HopExecutor
from kernel.http.operations import describe, with_headers
from kernel.http.problems import bad_request
from kernel.http.routes import Declaration
from kernel.http.tokens import AccessTokens

_NO_MATCH: Final[tuple[Match, Scope]] = (Match.NONE, {})
_JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What the routes of one application share."""

    executor: HopExecutor
    access_tokens: AccessTokens
    database: Database | None
    """The kernel's own handle, which idempotent routes need."""


class Answer(Response):
    """An answer whose bytes are made already."""

    def __init__(self, body: bytes | None, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status_code = status
        self.background = None
        self.body = body or b""
        self.raw_headers = headers
        if body is not None:
            headers += [(b"content-length", b"%d" % len(body)), _JSON]
        elif status not in (204, 304):
            headers.append((b"content-length", b"0"))


class HopRoute(APIRoute):
    """Runs an endpoint whole in one hop: service, SQL, retries, and the serialisation of what it returns."""

    def __init__(self, declared: Declaration, runtime: Runtime) -> None:
        self.declared = declared
        self.runtime = runtime
        self.max_body = declared.max_body
        self.shape: EndpointShape = read_shape(declared)
        returned = self.shape.returned
        self._adapter: TypeAdapter[Any] | None = None if returned is None else TypeAdapter(returned)
        status = self.shape.success_status(declared)
        documented = describe(declared, self.shape)
        documented["responses"] = with_headers(declared, self.shape, documented["responses"])
        super().__init__(
            declared.path or "/",
            self._hop(),
            response_model=returned,
            status_code=status,
            tags=list(declared.tags),
            methods=[declared.method],
            name=declared.endpoint.__name__,
            operation_id=declared.operation_id,
            include_in_schema=declared.include_in_schema,
            deprecated=declared.deprecated,
            **documented,
        )
        refuse_hops_in_dependencies(declared, self.dependant)
        self._status = status
        self.served = {"GET", "HEAD"} if declared.method == "GET" else {declared.method}
        self._stem = self.path_format.partition("{")[0].rstrip("/")
        # With and without a trailing slash; \Z because $ would let a line break pass.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$").removesuffix("/") + r"/?\Z")
        self.allow_header = ", ".join(sorted(self.served))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        require = {"json": require_json, "form": require_form, None: None}[self.shape.body_kind(self.body_field)]
        is_json = require is require_json
        parameters = query_parameters(self.dependant)

        async def examined(request: Request) -> Response:
            self.examine(request)
            if request.scope["query_string"]:
                _check_query(request, parameters)
            if require is not None:
                request = JsonRequest(request.scope, request.receive) if is_json else request
                # Read here, so that an unreadable body is refused in our words.
                if is_json and not await request.body():
                    return await handle(request)
                require(request.headers.get("content-type"))
                require_plain(request.headers.get("content-encoding"))
            return await handle(request)

        return examined

    def examine(self, request: Request) -> None:
        """What is checked before the body is read."""
        allow = self.declared.allow
        wanted = allow.signed_in or self.shape.caller is not None
        principal = authenticate(request.scope, self.runtime.access_tokens) if wanted else None
        allow.admit(principal)
        current.enter(request.scope, principal)

    def call(self, values: dict[str, Any]) -> Response:
        """The whole call, in the hop."""
        caller = current.principal()
        if self.shape.caller is not None:
            values[self.shape.caller] = caller
        with authenticated(caller):
            return run_call(partial(self.attempt, values))

    def attempt(self, values: dict[str, Any]) -> Response:
        """One run of the call; the kernel may ask for another."""
        if self.shape.response is None:
            return self.answer(self.declared.endpoint(**values), self._status, [])
        # Fresh for each run, so that nothing of a run that was undone is answered.
        told = values[self.shape.response] = self.blank()
        result = self.declared.endpoint(**values)
        return self.answer(result, told.status_code, told.raw_headers)

    def blank(self) -> Response:
        """What an endpoint says status and headers with."""
        told = Response(status_code=self._status)
        told.raw_headers.clear()
        return told

    def answer(self, result: Any, status: int, headers: list[tuple[bytes, bytes]]) -> Response:
        if isinstance(result, Response):
            return result
        if self._adapter is None or status in (204, 304):
            return Answer(None, status, headers)
        return Answer(self._adapter.dump_json(result), status, headers)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return _NO_MATCH
        path = get_route_path(scope)
        if not path.startswith(self._stem):
            return _NO_MATCH
        found = self.path_regex.match(path)
        if found is None:
            return _NO_MATCH
        match = Match.FULL if scope["method"] in self.served else Match.PARTIAL
        return match, {"endpoint": self.endpoint, "path_params": found.groupdict(), "route": self}

    def pass_over(self, patterns: Iterable[str]) -> None:
        """Match no path that one of these patterns matches."""
        unnamed = [re.sub(r"\?P<\w+>", "?:", pattern) for pattern in patterns]
        self.path_regex = re.compile(f"(?!{'|'.join(unnamed)}){self.path_regex.pattern}")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.served:
            raise HTTPException(405, headers={"allow": self.allow_header})
        await self.app(scope, receive, send)

    def _hop(self) -> Callable[..., Coroutine[Any, Any, Response]]:
        """The coroutine function that the framework sees in place of the endpoint."""
        run, gate = self.runtime.executor.run, self.declared.gate

        async def hop(**values: Any) -> Response:
            return await run(partial(self.call, values))

        async def gated_hop(**values: Any) -> Response:
            async with gate:  # type: ignore[union-attr] # chosen only when there is one
                return await run(partial(self.call, values))

        chosen = hop if gate is None else gated_hop
        chosen.__name__ = self.declared.endpoint.__name__
        chosen.__doc__ = self.declared.endpoint.__doc__
        chosen.__module__ = self.declared.endpoint.__module__
        chosen.__signature__ = self.shape.signature  # type: ignore[attr-defined] # what inspect.signature looks for
        return chosen


def _check_query(request: Request, parameters: dict[str, bool]) -> None:
    """Refuse parameters that the route does not know, or that are given twice but mean one value."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    unknown = sorted({name[:100] for name in given if name not in parameters})
    if unknown:
        raise bad_request(
            "unknown-parameter",
            "The query holds parameters that are not known here.",
            unknown=unknown[:20],
            allowed=sorted(parameters),
        )
    twice = sorted(name for name, times in given.items() if times > 1 and not parameters[name])
    if twice:
        raise bad_request("repeated-parameter", "The query gives a parameter twice.", repeated=twice)
