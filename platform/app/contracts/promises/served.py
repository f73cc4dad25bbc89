"""Served: what one module promises over HTTP, as an OpenAPI document of its own, without the words that are for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import URL

from app.application import create_app
from app.contracts.gate import Bench
from app.contracts.promises.promise import Document
from app.contracts.promises.shapes import as_text
from app.modules import installed, variables
from kernel.database.engines import Engines
from kernel.http.access import SCHEME
from kernel.http.operations import ROLES
from kernel.http.problems import MEDIA_TYPE
from kernel.settings import load_settings

CODES: Final = "x-problem-codes"
"""Of an answer: the codes of the domain errors that it can tell."""

_WORDS: Final = frozenset({"title", "description", "examples", "example", "$comment", "externalDocs"})
"""For people. They change whenever somebody finds a better one, and nobody's program reads them."""
_BY_NAME: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_VALUES: Final = frozenset({"enum", "const", "default", "required", "dependentRequired"})
_PREFIX: Final = "#/components/schemas/"
# Nothing connects, and no answer depends on these: the document is the same on every machine.
_ENVIRON: Final = {"EMPORIUM_ENV": "test", "EMPORIUM_SECRET_KEY": "for a document that is only looked at"}


def describe(bench: Bench, module: str) -> Document | None:
    """The module's snapshot. None when it has no routes, and never had any."""
    document, operations = _served()
    paths: dict[str, dict[str, Any]] = {}
    for path, method in sorted(operations.get(module, ())):
        paths.setdefault(path, {})[method] = _operation(document["paths"][path][method])
    if not paths and not (bench.root / "modules" / module / "contracts" / "http.json").exists():
        return None
    schemas = document["components"]["schemas"]
    return {
        "openapi": document["openapi"],
        "info": {"title": module, "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {name: _schema(schemas[name]) for name in sorted(_reached(paths, schemas))},
            "securitySchemes": {SCHEME: _bare(document["components"]["securitySchemes"][SCHEME])},
        },
    }


@cache
def _served() -> tuple[Document, Mapping[str, set[tuple[str, str]]]]:
    """The document of an application that is never opened, and which path and method is whose."""
    engines = Engines(URL.create("postgresql+psycopg2", database="none"), threads=1, roles=None)
    app = create_app(load_settings(environ=_ENVIRON, known=variables()), modules=installed(), engines=engines)
    document = app.openapi()
    operations: dict[str, set[tuple[str, str]]] = {}
    for built in app.state.parts.modules:
        for declared in built.router.declarations if built.router is not None else ():
            if declared.include_in_schema:
                operations.setdefault(built.module.name, set()).add((declared.path or "/", declared.method.lower()))
    return document, operations


def _operation(served: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: served[name] for name in ("operationId", "security", ROLES, "deprecated") if name in served}
    parameters = [_parameter(parameter) for parameter in served.get("parameters", ())]
    if parameters:
        kept["parameters"] = sorted(parameters, key=lambda parameter: (parameter["in"], parameter["name"]))
    if "requestBody" in served:
        kept["requestBody"] = {**_bare(served["requestBody"]), "content": _content(served["requestBody"].get("content", {}))}
    kept["responses"] = {status: _response(status, response) for status, response in served["responses"].items()}
    return kept


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kept = _bare(parameter)
    return {**kept, "schema": _schema(parameter["schema"])} if "schema" in parameter else kept


def _response(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    # OpenAPI 3.1 requires a description.
    kept = {**_bare(response), "description": HTTPStatus(int(status)).phrase if status.isdigit() else "Any other"}
    if "headers" in response:
        kept["headers"] = {name: _parameter(header) for name, header in response["headers"].items()}
    if "content" in response:
        kept["content"] = _content(response["content"])
        if codes := _codes(response["content"]):
            kept[CODES] = codes
    return kept


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        kind: {**_bare(told), "schema": _schema(told["schema"])} if "schema" in told else _bare(told)
        for kind, told in content.items()
    }


def _codes(content: Mapping[str, Any]) -> list[str]:
    examples = content.get(MEDIA_TYPE, {}).get("examples", {})
    return sorted({example["value"]["code"] for example in examples.values()})


def _bare(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in _WORDS}


def _schema(schema: Any) -> Any:
    """Without words; a field may well be called `description`, so names of fields are not taken for keywords."""
    if isinstance(schema, list):
        return [_schema(each) for each in schema]
    if not isinstance(schema, Mapping):
        return int(schema) if isinstance(schema, float) and schema.is_integer() else schema
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _BY_NAME:
            kept[name] = {field: _schema(each) for field, each in value.items()}
        elif name in ("required", "enum"):
            kept[name] = sorted(value, key=as_text)
        elif name in _VALUES:
            kept[name] = value
        elif name not in _WORDS:
            kept[name] = _schema(value)
    return kept


def _reached(paths: Any, schemas: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_PREFIX)
    inner: Callable[[], Any] = value.values if isinstance(value, Mapping) else lambda: value if isinstance(value, list) else ()
    for each in inner():
        yield from _references(each)
