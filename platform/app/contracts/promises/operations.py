"""Operations compared: two OpenAPI documents of one module, from the clients' side, by written rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.contracts.promises.access import compare_access
from app.contracts.promises.places import Flow, Place
from app.contracts.promises.promise import Change, Document
from app.contracts.promises.schemas import Comparison
from app.contracts.promises.served import CODES
from app.contracts.promises.shapes import Schemas, as_text
from kernel.http.operations import ROLES

OPERATION_RULES: Final = {
    "removed-operation": "An operation stays at its method and path.",
    "changed-operation-id": "An operation keeps its operationId: generated clients make methods of it.",
    "renamed-schema": "A schema keeps its name: generated clients make classes of it.",
    "removed-parameter": "A parameter that clients may send stays: one that is not known here is refused (400).",
    "changed-media-type": "Bodies stay of the media types that they are of.",
    "changed-status": "Success goes on being told by the same status, and no new status comes that nothing prepares for.",
    "removed-problem-code": "A problem goes on having its code, at its status.",
    "removed-header": "A header that answers carry goes on being there.",
}

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_JUDGED: Final = frozenset(
    {"operationId", "security", ROLES, "deprecated", "parameters", "requestBody", "responses", "tags", "summary", "description"}
)
"""What the rules below look at, or what is for people."""


def compare(kept: Document, now: Document) -> Iterator[Change]:
    """From the kept document to the one of now."""
    yield from Documents(kept, now).changes()


class Documents:
    """One comparison of two documents; a schema that many operations share is told of once."""

    def __init__(self, kept: Document, now: Document) -> None:
        self._kept, self._now = kept, now
        before, after = Schemas(kept), Schemas(now)
        self._requests = Comparison(before, after, Flow.REQUEST)
        self._answers = Comparison(before, after, Flow.ANSWER)

    def changes(self) -> Iterator[Change]:
        before, after = _operations(self._kept), _operations(self._now)
        for place in sorted(before.keys() - after.keys()):
            yield _removed(place, before[place], before, after)
        for place in sorted(after.keys() - before.keys()):
            yield Change(rule="new-operation", where=place, what="The operation is new.", breaking=False)
        for place in sorted(before.keys() & after.keys()):
            yield from self._operation(place, before[place], after[place])
        yield from _schemes(self._kept, self._now)

    def _operation(self, place: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
        if kept.get("operationId") != now.get("operationId"):
            what = f"The operationId was {kept.get('operationId')} and is {now.get('operationId')}."
            yield Change(rule="changed-operation-id", where=place, what=what, breaking=True)
        yield from compare_access(place, kept, now)
        yield from self._parameters(place, _parameters(kept), _parameters(now))
        yield from self._body(f"{place} request", kept.get("requestBody"), now.get("requestBody"))
        yield from self._statuses(place, kept["responses"], now["responses"])
        yield from _codes(place, kept["responses"], now["responses"])
        if kept.get("deprecated", False) != now.get("deprecated", False):
            what = f"It is {'deprecated' if now.get('deprecated') else 'no longer deprecated'}."
            yield Change(rule="deprecated", where=place, what=what, breaking=False)
        yield from _others(place, kept, now, _JUDGED)

    def _parameters(
        self, place: str, kept: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Change]:
        for name in sorted(kept.keys() - now.keys()):
            what = f"The {name} is not known any more."
            yield Change(rule="removed-parameter", where=f"{place} {name}", what=what, breaking=True)
        for name in sorted(now.keys() - kept.keys()):
            must = bool(now[name].get("required"))
            what = f"The {name} is new{', and has to be sent' if must else ''}."
            yield Change(rule="new-required-input" if must else "new-input", where=f"{place} {name}", what=what, breaking=must)
        for name in sorted(kept.keys() & now.keys()):
            yield from self._parameter(Place(f"{place} {name}"), kept[name], now[name])

    def _parameter(self, place: Place, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
        must, must_now = bool(kept.get("required")), bool(now.get("required"))
        if must != must_now:
            what = "It could be left out, and has to be sent now." if must_now else "It may be left out now."
            yield Change(rule="required-input", where=str(place), what=what, breaking=must_now)
        before, after = kept.get("schema", True), now.get("schema", True)
        if not must:
            yield from self._requests.default(before, after, place)
        yield from self._requests.compare(before, after, place)
        yield from _others(str(place), kept, now, frozenset({"name", "in", "required", "schema", "description"}))

    def _body(self, place: str, kept: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[Change]:
        if kept is None and now is not None:
            must = bool(now.get("required"))
            what = f"There is a body now{', which has to be sent' if must else ''}."
            yield Change(rule="new-required-input" if must else "new-input", where=place, what=what, breaking=must)
        elif kept is not None and now is None:
            yield Change(rule="removed-input", where=place, what="No body is taken any more.", breaking=True)
        elif kept is not None and now is not None:
            if bool(kept.get("required")) != bool(now.get("required")):
                must = bool(now.get("required"))
                what = "The body could be left out, and has to be sent now." if must else "The body may be left out now."
                yield Change(rule="required-input", where=place, what=what, breaking=must)
            yield from self._content(place, kept.get("content", {}), now.get("content", {}), self._requests)

    def _content(self, place: str, kept: Mapping[str, Any], now: Mapping[str, Any], comparison: Comparison) -> Iterator[Change]:
        answers = comparison.flow is Flow.ANSWER
        for kind in sorted(kept.keys() - now.keys()):
            what = f"There is no {kind} any more."
            yield Change(rule="changed-media-type", where=place, what=what, breaking=True)
        for kind in sorted(now.keys() - kept.keys()):
            # An answer that had no body and has one now harms nobody; one that may be of another type does.
            yield Change(rule="changed-media-type", where=place, what=f"There is {kind} now.", breaking=answers and bool(kept))
        for kind in sorted(kept.keys() & now.keys()):
            yield from comparison.compare(kept[kind].get("schema", True), now[kind].get("schema", True), Place(place))
            yield from _others(place, kept[kind], now[kind], frozenset({"schema", "example", "examples"}))

    def _statuses(self, place: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
        for status in sorted(kept.keys() - now.keys()):
            what = f"There is no {status} any more."
            yield Change(rule="changed-status", where=place, what=what, breaking=_is_success(status))
        for status in sorted(now.keys() - kept.keys()):
            yield Change(rule="changed-status", where=place, what=f"{status} is new.", breaking=_surprises(status, kept))
        for status in sorted(kept.keys() & now.keys()):
            yield from self._response(f"{place} {status}", kept[status], now[status])

    def _response(self, place: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
        before, after = kept.get("headers", {}), now.get("headers", {})
        for name in sorted(before.keys() - after.keys()):
            yield Change(rule="removed-header", where=f"{place} {name}", what=f"{name} is gone.", breaking=True)
        for name in sorted(after.keys() - before.keys()):
            yield Change(rule="new-header", where=f"{place} {name}", what=f"{name} is new.", breaking=False)
        for name in sorted(before.keys() & after.keys()):
            if before[name].get("required") and not after[name].get("required"):
                what = f"{name} was always there, and can be missing now."
                yield Change(rule="removed-header", where=f"{place} {name}", what=what, breaking=True)
            schema, schema_now = before[name].get("schema", True), after[name].get("schema", True)
            yield from self._answers.compare(schema, schema_now, Place(f"{place} {name}"))
        yield from self._content(place, kept.get("content", {}), now.get("content", {}), self._answers)
        yield from _others(place, kept, now, frozenset({"headers", "content", "description", CODES}))


def _operations(document: Document) -> dict[str, Mapping[str, Any]]:
    """By `POST /path`; what a path says for all of its methods is said for each."""
    found: dict[str, Mapping[str, Any]] = {}
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method in _METHODS:
            if method in item:
                operation = item[method]
                parameters = {_key(parameter): parameter for parameter in (*shared, *operation.get("parameters", []))}
                found[f"{method.upper()} {path}"] = {**operation, "parameters": list(parameters.values())}
    return found


def _parameters(operation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {_key(parameter): parameter for parameter in operation.get("parameters", [])}


def _key(parameter: Mapping[str, Any]) -> str:
    """A header is the same in any letter case."""
    if parameter["in"] == "header":
        return f"header {parameter['name'].title()}"
    return f"{parameter['in']} parameter {parameter['name']}"


def _removed(
    place: str, operation: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Mapping[str, Any]]
) -> Change:
    name = operation.get("operationId")
    moved = [other for other, now in after.items() if now.get("operationId") == name and name and other not in before]
    what = f"The operation is gone: {name} is {moved[0]} now." if moved else f"The operation is gone ({name})."
    return Change(rule="removed-operation", where=place, what=what, breaking=True)


def _is_success(status: str) -> bool:
    return status[:1] in ("1", "2", "3")


def _surprises(status: str, kept: Mapping[str, Any]) -> bool:
    """Whether clients that kept to the old document meet a status that nothing has prepared them for."""
    if status == "304":
        # Comes to those alone who ask for it, by If-None-Match.
        return False
    return _is_success(status) or "default" not in kept


def _codes(place: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    before = {(code, status) for status, response in kept.items() for code in response.get(CODES, ())}
    after = {(code, status) for status, response in now.items() for code in response.get(CODES, ())}
    for code, status in sorted(before - after):
        elsewhere = [other for known, other in sorted(after) if known == code]
        what = f"{code} comes with {elsewhere[0]} now." if elsewhere else f"{code} does not come any more."
        yield Change(rule="removed-problem-code", where=f"{place} {status}", what=what, breaking=True)
    for code, status in sorted(after - before):
        # Codes are an open list: of one that they do not know, clients know the status.
        yield Change(rule="new-problem-code", where=f"{place} {status}", what=f"{code} is new.", breaking=False)


def _schemes(kept: Document, now: Document) -> Iterator[Change]:
    before, after = (document.get("components", {}).get("securitySchemes", {}) for document in (kept, now))
    for name in sorted(before):
        if as_text(before[name]) != as_text(after.get(name)):
            what = f"Clients do not log in by {name} as they did." if name in after else f"{name} is gone."
            yield Change(rule="changed-auth", where=f"log-in {name}", what=what, breaking=True)


def _others(place: str, kept: Mapping[str, Any], now: Mapping[str, Any], judged: frozenset[str]) -> Iterator[Change]:
    """What no rule knows counts as breaking, so that nothing passes silently."""
    for word in sorted((kept.keys() | now.keys()) - judged):
        if as_text(kept.get(word)) != as_text(now.get(word)):
            what = f"{word} was {as_text(kept.get(word))} and is {as_text(now.get(word))}."
            yield Change(rule="changed-schema", where=place, what=what, breaking=True)
