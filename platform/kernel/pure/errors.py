"""Domain errors: facts with a stable code and data. They know no HTTP numbers.

A module declares its own errors in its `interface.py` as subclasses of one of the kinds below; `kernel.http.problems` maps
each kind to a status code in one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class DomainError(Exception):
    """A request that cannot be fulfilled, for a reason that the caller can understand.

    `code` is stable and ends up in the problem's `type`; `message` is one English sentence for people; `data` is what a
    program needs to react (JSON-serialisable values), published as members of the problem.
    """

    code: ClassVar[str] = "domain-error"
    title: ClassVar[str] = "The request could not be fulfilled"

    def __init__(self, message: str, **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.data: Mapping[str, object] = data


class NotFound(DomainError):
    """What was asked for does not exist, or not for this caller."""

    code = "not-found"
    title = "Not found"


class Conflict(DomainError):
    """The state of the resource does not allow the request."""

    code = "conflict"
    title = "Conflict with the current state"


class Invalid(DomainError):
    """The request's values break a rule of the domain.

    `pointer` names the value in the request body as a JSON Pointer (RFC 6901), when there is one.
    """

    code = "invalid"
    title = "The request is invalid"

    def __init__(self, message: str, *, pointer: str | None = None, **data: object) -> None:
        super().__init__(message, **data)
        self.pointer = pointer


class Forbidden(DomainError):
    """The caller is known, and may not do this."""

    code = "forbidden"
    title = "Not allowed"


class Unauthenticated(DomainError):
    """The caller did not prove who they are."""

    code = "unauthenticated"
    title = "Authentication is required"


class PaymentRequired(DomainError):
    """The caller has to pay first, or in another way."""

    code = "payment-required"
    title = "Payment is required"


class PreconditionFailed(DomainError):
    """The caller's `If-Match` names another version than the current one."""

    code = "precondition-failed"
    title = "The resource has changed"


class TooManyRequests(DomainError):
    """A limit was reached; `retry_after` is in seconds."""

    code = "too-many-requests"
    title = "Too many requests"

    def __init__(self, message: str, *, retry_after: int, **data: object) -> None:
        super().__init__(message, **data)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """The shop cannot answer now; the same request may succeed after `retry_after` seconds."""

    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, message: str, *, retry_after: int = 1, **data: object) -> None:
        super().__init__(message, **data)
        self.retry_after = retry_after
