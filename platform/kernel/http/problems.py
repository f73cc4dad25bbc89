"""Problems (RFC 9457): every answer of status 4xx or 5xx, and the one table from kinds of errors to status codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from kernel.database.call import RetryCall
from kernel.database.errors import BUSY, INSUFFICIENT_PRIVILEGE, INVALID_AUTHORIZATION, is_connection_loss, sqlstate
from kernel.http.current import REQUEST_ID
from kernel.http.tokens import InvalidToken
from kernel.pure.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    PaymentRequired,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:emporium:problem:"
REQUEST_PREFIX: Final = "urn:emporium:request:"

STATUS: Final[Mapping[type[DomainError], int]] = {
    Invalid: 422,
    NotFound: 404,
    Conflict: 409,
    PaymentRequired: 402,
    Forbidden: 403,
    Unauthenticated: 401,
    PreconditionFailed: 412,
    TooManyRequests: 429,
    Unavailable: 503,
}
"""The only place where domain errors meet HTTP."""

_CODES: Final = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}
_PHRASES: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""RFC 9110, section 15.5, for those that Python calls by older names before 3.13."""
_DETAILS: Final = {
    404: "Nothing is at this address.",
    405: "This method is not allowed here; the Allow header names those that are.",
}

_RESOURCES: Final = "53"

_MAX_ERRORS: Final = 50
_MAX_TEXT: Final = 300

logger: Final = logging.getLogger("kernel.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem, ready to be answered. `code` is stable and ends up in `type`; `members` are extensions."""

    status: int
    code: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)

    def response(self, scope: Scope) -> Response:
        """The answer, which is also a plain ASGI application."""
        content: dict[str, object] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if REQUEST_ID in scope:
            content["instance"] = REQUEST_PREFIX + scope[REQUEST_ID]
        content = {**self.members, **content}
        # ASCII only: whatever text got into a member cannot break the answer.
        body = json.dumps(content, ensure_ascii=True, default=str, separators=(",", ":")).encode("ascii")
        headers = {"cache-control": "no-store", **self.headers}
        return Response(body, self.status, headers, media_type=MEDIA_TYPE)


class Refusal(HTTPException):
    """A request that HTTP itself refuses, before any service is asked."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.members = members or {}


def bad_request(code: str, detail: str, **members: object) -> Refusal:
    return Refusal(400, code, detail, members=members)


def install(app: FastAPI) -> None:
    """Make every error of this application a problem, the framework's own included."""

    # Coroutine: a plain function would cost a hop of the framework's thread pool.
    async def answer(request: Request, error: Exception) -> Response:
        return problem_of(error, request.scope).response(request.scope)

    for kind in (DomainError, RequestValidationError, HTTPException, SQLAlchemyError, RetryCall, Exception):
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception, scope: Scope) -> Problem:
    """The problem that tells the client of an error. What is our fault is logged here, once, with the request's id."""
    match error:
        case DomainError():
            if isinstance(error, Unavailable):
                logger.warning("Request %s could not be served: %s", scope.get(REQUEST_ID), error.message)
            return _domain_problem(error, scope)
        case RequestValidationError():
            return _validation_problem(error.errors())
        case HTTPException():
            return _http_problem(error)
        case SQLAlchemyError() | RetryCall():
            return _database_problem(error, scope)
        case ClientDisconnect():
            return Problem(status=400, code="bad-request", title="Bad Request", detail="The client went away.")
        case _:
            return _internal_problem(error, scope, "failed")


def status_of(kind: type[DomainError]) -> int | None:
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), None)


def _domain_problem(error: DomainError, scope: Scope) -> Problem:
    status = status_of(type(error))
    if status is None:
        return _internal_problem(error, scope, "failed with an error of no kind that has a status code")
    members = dict(error.data)
    if isinstance(error, Invalid) and error.pointer is not None:
        members["errors"] = [{"pointer": error.pointer, "code": error.code, "detail": error.message}]
    headers: dict[str, str] = {}
    match error:
        case InvalidToken():
            headers["www-authenticate"] = 'Bearer realm="emporium", error="invalid_token"'
        case Unauthenticated():
            headers["www-authenticate"] = 'Bearer realm="emporium"'
        case _:
            pass
    if (retry_after := getattr(error, "retry_after", None)) is not None:
        headers["retry-after"] = str(retry_after)
    return Problem(status=status, code=error.code, title=error.title, detail=error.message, headers=headers, members=members)


def _http_problem(error: HTTPException) -> Problem:
    status = error.status_code
    if isinstance(error, Refusal):
        code, detail, members = error.code, error.detail, error.members
    else:
        code, detail, members = _CODES.get(status, f"http-{status}"), _DETAILS.get(status, error.detail), {}
    return Problem(
        status=status,
        code=code,
        title=_phrase(status),
        detail=str(detail),
        headers={name.lower(): value for name, value in (error.headers or {}).items()},
        members=members,
    )


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def _database_problem(error: SQLAlchemyError | RetryCall, scope: Scope) -> Problem:
    state = sqlstate(error)
    if state == INVALID_AUTHORIZATION:
        return _domain_problem(InvalidToken("The access token no longer counts: log in again."), scope)
    if _is_passing(error, state):
        logger.warning("Request %s met a busy database (%s, %s)", scope.get(REQUEST_ID), type(error).__name__, state)
        return _domain_problem(Unavailable("The shop is busy; try again shortly."), scope)
    if state == INSUFFICIENT_PRIVILEGE:
        return _internal_problem(error, scope, "violated ownership: a module's statement touched what it does not own")
    return _internal_problem(error, scope, f"failed in the database ({state})")


def _is_passing(error: SQLAlchemyError | RetryCall, state: str | None) -> bool:
    if isinstance(error, PoolTimeout | RetryCall) or state in BUSY:
        return True
    if isinstance(error, DBAPIError) and is_connection_loss(error):
        return True
    return state is not None and state.startswith(_RESOURCES)


def _internal_problem(error: Exception, scope: Scope, what: str) -> Problem:
    logger.error("Request %s %s", scope.get(REQUEST_ID), what, exc_info=error)
    return Problem(
        status=500,
        code="internal-error",
        title=_phrase(500),
        detail="Something went wrong on our side. The request's id helps us to find out what.",
    )


def _validation_problem(errors: Sequence[Any]) -> Problem:
    """What pydantic found, without the values that it found wanting."""
    places = {error["loc"][0] for error in errors}
    if "path" in places:
        return Problem(status=404, code="not-found", title=_phrase(404), detail=_DETAILS[404])
    if "body" in places and len(places) == 1:
        status, code, title, detail = 422, Invalid.code, Invalid.title, "The body of the request is invalid."
    else:
        errors = [error for error in errors if error["loc"][0] != "body"]
        status, code, title = 400, "invalid-parameters", _phrase(400)
        detail = "Parameters of the request are invalid."
    members: dict[str, object] = {"errors": [_explained(error) for error in errors[:_MAX_ERRORS]]}
    if len(errors) > _MAX_ERRORS:
        members["errors_left_out"] = len(errors) - _MAX_ERRORS
    return Problem(status=status, code=code, title=title, detail=detail, members=members)


def _explained(error: Mapping[str, Any]) -> dict[str, str]:
    place, *path = error["loc"]
    where = {"pointer": pointer(path)} if place == "body" else {"in": str(place), "parameter": _plain(".".join(map(str, path)))}
    # This message alone quotes the input.
    message = "The tag is unknown" if error["type"] == "union_tag_invalid" else str(error["msg"])
    return {
        **where,
        "code": str(error["type"]).replace("_", "-"),
        "detail": _plain(message.removeprefix("Value error, ")),
    }


def pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901) to the value at `path`."""
    return _plain("".join("/" + _plain(str(part)).replace("~", "~0").replace("/", "~1") for part in path))


def _plain(text: str) -> str:
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
