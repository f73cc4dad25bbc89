"""Documentation: what OpenAPI says of answers, problems and log-in, from the types that really answer."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kernel.http.access import SCHEME, SECURITY_SCHEME
from kernel.http.examples import kept, spread, with_nulls
from kernel.http.problems import MEDIA_TYPE, TYPE_PREFIX, status_of
from kernel.pure.errors import DomainError

_PAGE_NAME: Final = re.compile(r"Page_Annotated_([A-Za-z0-9]+)_\w*?_Described__")
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "Every answer of status 4xx or 5xx (RFC 9457). Some codes add members of their own.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": f"`{TYPE_PREFIX}` and the code. Stable."},
        "title": {"type": "string", "description": "What kind of problem it is, for people."},
        "status": {"type": "integer", "description": "The status code again."},
        "detail": {"type": "string", "description": "What is wrong with this request, for people."},
        "instance": {"type": "string", "format": "uri", "description": "This request, by its X-Request-Id."},
        "code": {"type": "string", "description": "For programs. Stable."},
        "errors": {
            "type": "array",
            "description": "What is wrong with which value.",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) into the body."},
                    "parameter": {"type": "string", "description": "The parameter, when it is not the body."},
                    "in": {"type": "string", "enum": ["query", "header", "cookie"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


@dataclass(frozen=True, eq=False)
class Described:
    """Describes a frozen DTO for OpenAPI: `ProductBody = Annotated[Product, Described(example=…, fields=…)]`.

    The DTO itself is what is serialised; it cannot import pydantic, so its documentation lives here. `fields` maps names
    to descriptions; a dot leads into nested values (`"items.quantity"`).
    """

    example: Mapping[str, Any] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        target = handler.resolve_ref_schema(described)
        if self.example is not None:
            target["examples"] = [kept(self.example)]
        for path, text in self.fields.items():
            place = target
            for name in path.split("."):
                place = _property(place, name, path, handler)
            place["description"] = text
        return described


def _property(schema: JsonSchemaValue, name: str, path: str, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    while "properties" not in schema:
        if "$ref" in schema:
            schema = handler.resolve_ref_schema(schema)
        elif "items" in schema:
            schema = schema["items"]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            break
    if name not in schema.get("properties", {}):
        raise TypeError(f"Described(fields=…) names {path!r}, but there is no {name!r}: rename it as in the DTO.")
    found: JsonSchemaValue = schema["properties"][name]
    return found


def problem_responses(statuses: Mapping[int, str], errors: Sequence[type[DomainError]]) -> dict[int | str, Any]:
    """The `responses` of an operation: `statuses` with what they mean, and an example for each domain error."""
    examples: dict[int, dict[str, Any]] = {}
    for error in errors:
        status = status_of(error)
        if status is None:
            raise TypeError(f"{error.__name__} is of no kind that has a status code: derive it from one (kernel.pure.errors).")
        examples.setdefault(status, {})[error.code] = {"summary": error.title, "value": _example(error, status)}
    responses: dict[int | str, Any] = {}
    for status in sorted({*statuses, *examples}):
        content: dict[str, Any] = {"schema": _PROBLEM}
        if status in examples:
            content["examples"] = examples[status]
        title = statuses.get(status) or "; ".join(example["summary"] for example in examples[status].values())
        responses[status] = {"description": title, "content": {MEDIA_TYPE: content}}
    # Naming a default also keeps the framework from documenting a 422 body that we never send.
    responses["default"] = {"description": "Any other problem", "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
    return responses


def _example(error: type[DomainError], status: int) -> dict[str, Any]:
    told = inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return {
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": status,
        "detail": told or error.title,
        "code": error.code,
    }


def _with_plain_names(document: str) -> str:
    """`OrderPage` for `Page_Annotated_Order__Described__`: generated clients make classes of these names."""
    return _PAGE_NAME.sub(r"\1Page", document)


def _title_pages(document: dict[str, Any]) -> None:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if name.endswith("Page") and schema.get("title") == "Page":
            schema["title"] = name


def _name_ids(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                noun, _, rest = parameter["name"].rpartition("_")
                if parameter["in"] == "path" and noun and rest == "id":
                    parameter.setdefault("description", f"The `id` of the {noun.replace('_', ' ')}.")


def install(app: FastAPI) -> None:
    """Add to this application's OpenAPI document what all operations share: the problem schema and the log-in."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = json.loads(with_nulls(_with_plain_names(json.dumps(generate()))))
            _title_pages(document)
            _name_ids(document)
            spread(document)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
            components.setdefault("securitySchemes", {})[SCHEME] = SECURITY_SCHEME
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the framework's documented way to extend it
