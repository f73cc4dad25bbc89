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
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
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
    if declared.idempotent is not None:
        extra["parameters"] = [{**_KEY, "required": declared.idempotent is not Idempotency.ACCEPTED}]
    if declared.request_body is not None:
        extra["requestBody"] = kept(declared.request_body)
    return extra
