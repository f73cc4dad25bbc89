"""Requests: what each module's `contracts/requests.toml` wants to be sent, so that every operation is seen to succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.promises.promise import Document, Promise
from app.contracts.tables import read_tables

FILE: Final = "requests.toml"
REQUEST_FILE_RULES: Final = {
    "unreplayed": "Each operation has a request in contracts/requests.toml, which says how it is answered.",
}
_FIELDS: Final = frozenset({"operation", "status", "name", "caller", "at", "path", "query", "headers", "body"})
_REFERENCE: Final = re.compile(r"\$([a-z][a-z0-9_-]*)((?:\.[A-Za-z0-9_-]+)+)")
_EXAMPLE: Final = 'operation = "catalog_read_product", at = "lamp", caller = "customer", status = 200'


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. Texts like `"$lamp.product_id"` stand for what the answer to the request named `lamp` says."""

    operation: str
    status: int
    name: str | None = None
    caller: str | None = None
    """The name of a request that logged in: its answer has an `access_token`."""
    at: str | None = None
    """The name of a request whose Location, or own path, gives the values of this one's path."""
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def names(self) -> set[str]:
        """Of the requests whose answers this one needs."""
        mentioned = {match[1] for text in _texts([self.path, self.query, self.headers, self.body]) for match in _found(text)}
        return mentioned | {name for name in (self.caller, self.at) if name is not None}


def read_requests(root: Path, module: str) -> list[Asked]:
    """The entries that say enough, in their order; what is wrong with the others is for `check_requests`."""
    try:
        entries = read_tables(_file(root, module), "request")
    except ValueError:
        return []
    return [Asked(**entry) for entry in entries if not _fault(entry)]


def check_requests(bench: Bench, promise: Promise) -> Iterator[Finding]:
    """Whether the files can be read, and every operation of a snapshot has its request."""
    for module in bench.facts:
        if not bench.wants(module):
            continue
        where = bench.shown(_file(bench.root, module))
        try:
            entries = read_tables(_file(bench.root, module), "request")
        except ValueError as error:
            what = f"The file cannot be read: {error}."
            yield _finding(module, where, what, f"Write each entry as [[request]] with {_EXAMPLE}.")
            continue
        try:
            kept = promise.kept(bench.root, module)
        except ValueError:
            # The snapshot is no JSON, which is told elsewhere.
            continue
        for number, entry in enumerate(entries, 1):
            if fault := _fault(entry):
                what = f"Entry {number} ({entry.get('name') or entry.get('operation', 'without operation')}) {fault}."
                yield _finding(module, where, what, f"Write it as [[request]] with {_EXAMPLE}.")
        asked = {entry.get("operation") for entry in entries}
        for operation, place in sorted(operation_places(kept).items()):
            if operation not in asked:
                what = f"No request of {FILE} is for {operation}, so nobody sees that it goes on working."
                fix = f'Add [[request]] with operation = "{operation}" to {where}: who calls, with what, and the status.'
                yield _finding(module, place, what, fix)


def operation_places(document: Document | None) -> dict[str, str]:
    """operationId -> `GET /api/v1/products`."""
    paths = {} if document is None else document["paths"]
    return {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, item in paths.items()
        for method, operation in item.items()
    }


def filled(value: Any, answers: Mapping[str, Any]) -> Any:
    """With what the named answers say in place of references. Errors: KeyError, naming the reference."""
    if isinstance(value, Mapping):
        return {name: filled(each, answers) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, answers) for each in value]
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        return _looked_up(value, match, answers)
    return value


def _looked_up(text: str, match: re.Match[str], answers: Mapping[str, Any]) -> Any:
    found: Any = answers[match[1]]
    for part in match[2].removeprefix(".").split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(text) from None
    return found


def _found(text: str) -> Iterator[re.Match[str]]:
    if match := _REFERENCE.fullmatch(text):
        yield match


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _file(root: Path, module: str) -> Path:
    return root / "modules" / module / "contracts" / FILE


def _fault(entry: Mapping[str, Any]) -> str:
    if unknown := sorted(entry.keys() - _FIELDS):
        return f"has a field that means nothing here: {', '.join(unknown)}"
    if not isinstance(entry.get("operation"), str) or not isinstance(entry.get("status"), int):
        return "lacks the operation (a text) or the status (a number)"
    return ""


def _finding(module: str, where: str, what: str, fix: str) -> Finding:
    return Finding(rule="http/unreplayed", module=module, where=where, what=what, fix=fix)
