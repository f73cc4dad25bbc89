"""Answers: whether one is as the kept document says, in words that stay the same from run to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from schemathesis import Case, Response
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup, ServerError
from schemathesis.openapi.checks import JsonSchemaError, MissingHeaders, UndefinedContentType

load_all_checks()
from schemathesis.specs.openapi.checks import (  # noqa: E402 -- registered by the call above
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

_CHECKS: Final = [not_a_server_error, content_type_conformance, response_headers_conformance, response_schema_conformance]


def departures(case: Case[Any], response: Response) -> Iterator[str]:
    """What of the answer the kept document did not say."""
    status = response.status_code
    documented = case.operation.definition.raw["responses"]
    if str(status) not in documented and (status < 400 or "default" not in documented):
        yield f"it is answered {status}, which the snapshot does not know"
        return
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield _told(failure, status)


def _told(failure: Any, status: int) -> str:
    match failure:
        case ServerError():
            return f"it is answered {status}"
        case MissingHeaders():
            return f"the answer {status} lacks the header {', '.join(failure.missing_headers)}"
        case UndefinedContentType():
            return f"the answer {status} is {failure.content_type}"
        case JsonSchemaError():
            pointer = "".join(f"/{'*' if isinstance(part, int) else part}" for part in failure.instance_path)
            words = [str(part) for part in failure.schema_path if isinstance(part, str)]
            missing = f" ({failure.validation_message})" if words and words[-1] == "required" else ""
            return f"the answer {status} does not fit the snapshot's schema at {pointer or 'its top'}: {words[-1]}{missing}"
        case _:
            return f"the answer {status} is not as the snapshot says: {failure.title}"
