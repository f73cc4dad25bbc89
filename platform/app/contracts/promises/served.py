"""Served: what one module promises over HTTP, as an OpenAPI document of its own, without the words that are for people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy import URL

from app.application import create_app
from app.container import Built
from app.contracts.gate import Bench
from app.contracts.promises.promise import Document
from app.contracts.promises.words import bare, without_words
from app.modules import installed, variables
from kernel.database.engines import Engines
from kernel.http.access import SCHEME
from kernel.http.operations import ROLES
from kernel.http.problems import MEDIA_TYPE
from kernel.settings import load_settings

CODES: Final = "x-problem-codes"
"""Of an answer: the codes of the domain errors that it can tell."""

_PREFIX: Final = "#/components/schemas/"
# Nothing connects, and no answer depends on these: the document is the same on every machine.
_ENVIRON: Final = {"EMPORIUM_ENV": "test", "EMPORIUM_SECRET_KEY": "for a document that is only looked at"}


def describe(bench: Bench, module: str) -> Document | None:
    """The module's snapshot. None when it has no routes, and never had any."""
    document = _app().openapi()
    paths: dict[str, dict[str, Any]] = {}
    for path, method in sorted(_operations().get(module, ())):
        paths.setdefault(path, {})[method] = _operation(document["paths"][path][method])
    if not paths and not (bench.root / "modules" / module / "contracts" / "http.json").exists():
        return None
    schemas = document["components"]["schemas"]
    return {
        "openapi": document["openapi"],
        "info": {"title": module, "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {name: without_words(schemas[name]) for name in sorted(_reached(paths, schemas))},
            "securitySchemes": {SCHEME: bare(document["components"]["securitySchemes"][SCHEME])},
        },
    }


@cache
def _app() -> FastAPI:
    """An application that is never opened."""
    engines = Engines(URL.create("postgresql+psycopg2", database="none"), threads=1, roles=None)
    settings = load_settings(env_file=Path(os.devnull), environ=_ENVIRON, known=variables())
    return create_app(settings, modules=installed(), engines=engines)


def built() -> tuple[Built, ...]:
    """All modules of this code, with services that can do nothing but be looked at."""
    found: tuple[Built, ...] = _app().state.parts.modules
    return found


@cache
def _operations() -> dict[str, set[tuple[str, str]]]:
    """Which path and method is whose."""
    found: dict[str, set[tuple[str, str]]] = {}
    for each in built():
        for declared in each.router.declarations if each.router is not None else ():
            if declared.include_in_schema:
                found.setdefault(each.module.name, set()).add((declared.path or "/", declared.method.lower()))
    return found


def _operation(served: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: served[name] for name in ("operationId", "security", ROLES, "deprecated") if name in served}
    parameters = [_parameter(parameter) for parameter in served.get("parameters", ())]
    if parameters:
        kept["parameters"] = sorted(parameters, key=lambda parameter: (parameter["in"], parameter["name"]))
    if "requestBody" in served:
        kept["requestBody"] = {**bare(served["requestBody"]), "content": _content(served["requestBody"].get("content", {}))}
    kept["responses"] = {status: _response(status, response) for status, response in served["responses"].items()}
    return kept


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kept = bare(parameter)
    return {**kept, "schema": without_words(parameter["schema"])} if "schema" in parameter else kept


def _response(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    # OpenAPI 3.1 requires a description; Python's own phrases differ from version to version.
    kept = {**bare(response), "description": f"Status {status}"}
    if "headers" in response:
        kept["headers"] = {name: _parameter(header) for name, header in response["headers"].items()}
    if "content" in response:
        kept["content"] = _content(response["content"])
        if codes := _codes(response["content"]):
            kept[CODES] = codes
    return kept


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        kind: {**bare(told), "schema": without_words(told["schema"])} if "schema" in told else bare(told)
        for kind, told in content.items()
    }


def _codes(content: Mapping[str, Any]) -> list[str]:
    examples = content.get(MEDIA_TYPE, {}).get("examples", {})
    return sorted({example["value"]["code"] for example in examples.values()})


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
