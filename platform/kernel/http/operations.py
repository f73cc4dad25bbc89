"""What OpenAPI says of one operation, derived from its declaration and its signature."""

from __future__ import annotations

import inspect
from typing import Any, Final

from kernel.http.access import SCHEME
from kernel.http.documents import problem_responses
from kernel.http.endpoints import EndpointShape
from kernel.http.examples import kept
from kernel.http.routes import Declaration, Idempotency

_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "1 to 255 visible ASCII characters of your choice. A repeat with the same key and body is answered as "
    "before (`Idempotency-Replayed: true`) and not done again. A key is remembered for 24 hours at least.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
ROLES: Final = "x-roles"
"""Beside `security`, which of an OAuth2 scheme cannot name roles. Of several, one is enough."""
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ETag": {"required": True, "description": "The version that is shown; for If-Match and If-None-Match."},
    "Location": {"required": True, "description": "Where it is."},
    "Link": {"required": False, "description": "The next page (RFC 8288), when there is one."},
    "Idempotency-Replayed": {"required": False, "description": "`true` when this answers a repeat."},
}


def describe(declared: Declaration, shape: EndpointShape) -> dict[str, Any]:
    """The arguments of the route class that only document."""
    return {
        "summary": declared.summary or declared.endpoint.__name__.replace("_", " ").capitalize(),
        "description": _description(declared),
        "response_description": "Done" if shape.returns_nothing else "The answer",
        "responses": {
            **({304: {"description": "The copy at hand is current"}} if "if_none_match" in shape.signature.parameters else {}),
            **problem_responses(_statuses(declared, shape), declared.errors),
            **kept(declared.responses),
            **_unsettled(declared, shape),
        },
        "openapi_extra": _extra(declared, shape),
    }


def _unsettled(declared: Declaration, shape: EndpointShape) -> dict[int | str, Any]:
    """What a resumed route answers while nobody can tell how its attempt ends."""
    if declared.idempotent is not Idempotency.RESUMED:
        return {}
    told = {"description": "Not settled yet; ask at Location how it went", "model": shape.returned}
    return {202: {**told, **kept(declared.responses.get(202, {}))}}


def _description(declared: Declaration) -> str:
    text = inspect.cleandoc(declared.endpoint.__doc__ or "")
    roles = sorted(declared.allow.roles)
    return f"{text}\n\nNeeds the role {' or '.join(f'`{role}`' for role in roles)}.".strip() if roles else text


def _statuses(declared: Declaration, shape: EndpointShape) -> dict[int, str]:
    statuses: dict[int, str] = {}
    if shape.signature.parameters:
        statuses[400] = "The request cannot be read, or its parameters are invalid"
    if declared.allow.signed_in or shape.optional_caller:
        statuses[401] = "The access token is missing or not valid"
    if declared.allow.roles:
        statuses[403] = "The caller does not have the role"
    if "{" in declared.path:
        statuses[404] = "Not there, or not for this caller"
    if declared.idempotent is not None:
        statuses[409] = "A request with this Idempotency-Key is being worked on"
    if "if_match" in shape.signature.parameters:
        statuses[412] = "If-Match names another version"
    if declared.request_body is not None:
        statuses |= {413: "The body is too large", 422: "The body is invalid"}
    if shape.takes_body:
        statuses |= {413: "The body is too large", 415: "The body is of another media type", 422: "The body is invalid"}
    return statuses


def _extra(declared: Declaration, shape: EndpointShape) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if declared.allow.signed_in:
        extra["security"] = [{SCHEME: []}]
    elif shape.optional_caller:
        extra["security"] = [{}, {SCHEME: []}]
    if declared.allow.roles:
        extra[ROLES] = sorted(declared.allow.roles)
    if declared.idempotent is not None:
        extra["parameters"] = [{**_KEY, "required": declared.idempotent is not Idempotency.ACCEPTED}]
    if declared.request_body is not None:
        extra["requestBody"] = kept(declared.request_body)
    return extra


def with_headers(declared: Declaration, shape: EndpointShape, responses: dict[int | str, Any]) -> dict[int | str, Any]:
    """The responses of an operation, with the headers of those that are no problems."""
    success = shape.success_status(declared)
    for status in {success, *(status for status in responses if isinstance(status, int) and status < 400)}:
        names = [name for name in _HEADERS if _answers(declared, shape, status, name)]
        if names:
            headers = {name: {**_HEADERS[name], "schema": {"type": "string"}} for name in names}
            responses[status] = {**responses.get(status, {}), "headers": headers}
    return responses


def _answers(declared: Declaration, shape: EndpointShape, status: int, header: str) -> bool:
    match header:
        case "ETag":
            return declared.tagged or not shape.signature.parameters.keys().isdisjoint({"if_match", "if_none_match"})
        case "Location":
            return status == 201 or declared.idempotent is Idempotency.RESUMED
        case "Link":
            return shape.returns_page
        case _:
            return declared.idempotent is not None
