"""What an OpenAPI document leaves out: operations without examples, with examples that do not fit, or without problems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute

from kernel.http.bodies import parse_json
from kernel.http.hop_route import HopRoute

JSON: Final = "application/json"
_CHANGES: Final = frozenset({"post", "put", "patch", "delete"})


def complaints(document: dict[str, Any], routes: Iterable[BaseRoute]) -> list[str]:
    """One line for each thing that is missing or wrong, with the operation's name and the fix."""
    ours = {route.declared.operation_id: route for route in routes if isinstance(route, HopRoute)}
    found: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path} ({operation['operationId']})"
            route = ours.get(operation["operationId"])
            wrong = [
                *_of_request(document, operation, route),
                *_of_answers(document, operation, route),
                *_of_problems(document, operation, method, route),
                *_of_parameters(operation),
            ]
            found += [f"{name}: {what}" for what in wrong]
    return found


def _of_request(document: Mapping[str, Any], operation: Mapping[str, Any], route: HopRoute | None) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "example" not in content:
            yield "its request body has no example; give the Body its `example = {…}`."
            continue
        yield from _misfit(document, content, "of its request body")
        for field in route.dependant.body_params if route is not None else ():
            try:
                # As a request's bytes are read.
                example = parse_json(json.dumps(content["example"]).encode())
                body: Any = field.field_info.annotation
                TypeAdapter[Any](body).validate_python(example)
            except ValidationError as error:
                yield f"its own model refuses the example of its request body: {error}"


def _of_answers(document: Mapping[str, Any], operation: Mapping[str, Any], route: HopRoute | None) -> Iterator[str]:
    for status, response in operation["responses"].items():
        if not status.startswith("2") or status == "204":
            continue
        content = response.get("content", {}).get(JSON, {})
        if "example" not in content:
            yield f"its answer of {status} has no example; give what it returns one: `Annotated[…, Described(example={{…}})]`."
            continue
        yield from _misfit(document, content, f"of its answer of {status}")
        if route is not None and route.shape.returned is not None:
            # A text of its own that was never answered would be as good as none.
            adapter = TypeAdapter[Any](route.shape.returned)
            try:
                again = json.loads(adapter.dump_json(adapter.validate_json(json.dumps(content["example"]))))
            except ValidationError as error:
                yield f"its answer of {status} could never be the example: {error}"
            else:
                if again != content["example"]:
                    yield f"its answer of {status} would be {again}, not the example."


def _of_problems(
    document: Mapping[str, Any], operation: Mapping[str, Any], method: str, route: HopRoute | None
) -> Iterator[str]:
    problems = {status: response for status, response in operation["responses"].items() if status.startswith(("4", "5"))}
    if method in _CHANGES and not any(status.startswith("4") for status in problems):
        yield "it changes something and names no problem; list its `errors=[…]`."
    if operation.get("requestBody") and not {"413", "422"} <= problems.keys():
        yield "it takes a body and does not say how a wrong one is refused; list 413 and 422."
    for status, response in problems.items():
        for media_type, content in response["content"].items():
            if media_type != "application/problem+json":
                yield f"its {status} is {media_type}, not a problem."
            for code, example in content.get("examples", {}).items():
                yield from _misfit(document, {**content, "example": example["value"]}, f"of its problem {code}")
    for error in route.declared.errors if route is not None else ():
        if not any(error.code in _examples_of(response) for response in problems.values()):
            yield f"its problem {error.code} has no example."


def _examples_of(response: Mapping[str, Any]) -> Mapping[str, Any]:
    examples: Mapping[str, Any] = next(iter(response["content"].values())).get("examples", {})
    return examples


def _of_parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        if not parameter.get("description"):
            yield f"its {parameter['in']} parameter {parameter['name']} has no description."


def _misfit(document: Mapping[str, Any], content: Mapping[str, Any], which: str) -> Iterator[str]:
    # References lead into the document, so that has to be around the schema.
    schema = {**content.get("schema", {}), "components": document["components"]}
    for error in jsonschema_rs.validator_for(schema).iter_errors(content["example"]):
        yield f"the example {which} does not fit its schema: {error.message}"
