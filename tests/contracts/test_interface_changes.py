"""Which changes of an interface are breaking: from the caller's side, by the direction in which a type crosses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from app.contracts.promises.interface.comparing import compare, directions
from app.contracts.promises.interface.fitting import fits

Document = dict[str, Any]


def parameter(type_: str = "str", *, optional: bool = False) -> Document:
    return {"type": type_, "optional": optional}


OLD: Document = {
    "module": "catalog",
    "doors": {"CatalogService": "everybody", "CatalogReports": ["ordering", "users"]},
    "protocols": {
        "CatalogService": {
            "find": {"parameters": {"by": parameter("Filter"), "limit": parameter("int", optional=True)}, "result": "Found"}
        },
        "CatalogReports": {"count": {"parameters": {}, "result": "int"}},
    },
    "values": {
        "Filter": {"sku": parameter("str"), "order": parameter("Order", optional=True), "shade": parameter("Shade")},
        "Found": {"lines": parameter("Sequence[Line]"), "shade": parameter("Shade")},
        "Line": {"sku": parameter("str"), "stock": parameter("int"), "status": parameter("Status")},
        "Heard": {"id": parameter("int")},
        "Unseen": {"id": parameter("int"), "note": parameter("str | None")},
    },
    "enums": {
        "Order": {"UP": "up", "DOWN": "down"},
        "Shade": {"RED": "red"},
        "Status": {"OPEN": "open"},
        "Nowhere": {"HERE": "here"},
    },
    "errors": {
        "Gone": {
            "code": "gone",
            "title": "Gone",
            "kind": "NotFound",
            "bases": ["NotFound"],
            "attributes": {"lines": "tuple[Line, ...]"},
        }
    },
    "constants": {"MOST": 5},
    "announced": ["Heard"],
}

Path = tuple[str, ...]
GONE: Any = object()


def changed(path: Path, value: Any) -> Document:
    new = copy.deepcopy(OLD)
    holder = new
    for step in path[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return new


FIND: Path = ("protocols", "CatalogService", "find")
BREAKING = {
    "a Protocol is gone": (("protocols", "CatalogReports"), GONE, "removed-name", "catalog.CatalogReports"),
    "a DTO is gone": (("values", "Unseen"), GONE, "removed-name", "catalog.Unseen"),
    "a constant is gone": (("constants", "MOST"), GONE, "removed-name", "catalog.MOST"),
    "a method is gone": (FIND, GONE, "removed-method", "catalog.CatalogService.find"),
    "an optional parameter is gone": (
        (*FIND, "parameters", "limit"),
        GONE,
        "removed-parameter",
        "catalog.CatalogService.find(limit)",
    ),
    "a default is gone": (
        (*FIND, "parameters", "limit"),
        parameter("int"),
        "required-parameter",
        "catalog.CatalogService.find(limit)",
    ),
    "a parameter is narrowed": (
        (*FIND, "parameters", "limit"),
        parameter("Literal[1, 2]", optional=True),
        "changed-parameter",
        "catalog.CatalogService.find(limit)",
    ),
    "a result may be None": ((*FIND, "result"), "Found | None", "changed-result", "catalog.CatalogService.find"),
    "a received field is gone": (("values", "Line", "stock"), GONE, "removed-field", "catalog.Line.stock"),
    "a sent field is gone": (("values", "Filter", "order"), GONE, "removed-field", "catalog.Filter.order"),
    "a sent DTO needs more": (("values", "Filter", "name"), parameter("str"), "required-field", "catalog.Filter.name"),
    "a sent field's default is gone": (
        ("values", "Filter", "order"),
        parameter("Order"),
        "required-field",
        "catalog.Filter.order",
    ),
    "a received field may be None": (
        ("values", "Line", "stock"),
        parameter("int | None"),
        "optional-field",
        "catalog.Line.stock",
    ),
    "a field that events carry may be None": (
        ("values", "Heard", "id"),
        parameter("int | None"),
        "optional-field",
        "catalog.Heard.id",
    ),
    "a received field is widened": (("values", "Line", "sku"), parameter("int | str"), "changed-field", "catalog.Line.sku"),
    "a sent field is narrowed": (("values", "Filter", "sku"), parameter("Literal['a']"), "changed-field", "catalog.Filter.sku"),
    "a sent field is computed now": (
        ("values", "Filter", "sku"),
        {"type": "str", "computed": True},
        "removed-field",
        "catalog.Filter.sku",
    ),
    "an attribute of an error is gone": (("errors", "Gone", "attributes"), {}, "removed-field", "catalog.Gone.lines"),
    "a received member is new": (("enums", "Status", "SHUT"), "shut", "new-member", "catalog.Status.SHUT"),
    "a member that goes both ways is new": (("enums", "Shade", "BLUE"), "blue", "new-member", "catalog.Shade.BLUE"),
    "a sent member is gone": (("enums", "Order", "UP"), GONE, "removed-member", "catalog.Order.UP"),
    "a member has another value": (("enums", "Order", "UP"), "upwards", "changed-member", "catalog.Order.UP"),
    "a constant has another value": (("constants", "MOST"), 6, "changed-constant", "catalog.MOST"),
    "an error has another code": (("errors", "Gone", "code"), "lost", "changed-error-code", "catalog.Gone"),
    "an error can be caught as less": (("errors", "Gone", "bases"), [], "changed-error-kind", "catalog.Gone"),
    "a door is closed to one of two": (
        ("doors", "CatalogReports"),
        ["users"],
        "narrowed-door",
        "catalog.CatalogReports",
    ),
    "a door is closed to others": (("doors", "CatalogService"), ["users"], "narrowed-door", "catalog.CatalogService"),
}
SAFE = {
    "a new Protocol": (("protocols", "CatalogPrices"), {}),
    "a new method": (("protocols", "CatalogService", "look"), {"parameters": {}, "result": "None"}),
    "a new optional parameter": ((*FIND, "parameters", "after"), parameter("str", optional=True)),
    "a parameter that is not required any more": ((*FIND, "parameters", "by"), parameter("Filter", optional=True)),
    "a widened parameter": ((*FIND, "parameters", "limit"), parameter("int | None", optional=True)),
    "a new DTO": (("values", "More"), {"id": parameter("int")}),
    "a new received field": (("values", "Line", "name"), parameter("str")),
    "a new optional sent field": (("values", "Filter", "name"), parameter("str", optional=True)),
    "a new required field of a DTO that nobody makes": (("values", "Unseen", "name"), parameter("str")),
    "a widened sent field": (("values", "Filter", "sku"), parameter("str | None")),
    "a received field that is never None any more": (("values", "Unseen", "note"), parameter("str")),
    "a received sequence that is a tuple now": (("values", "Found", "lines"), parameter("tuple[Line, ...]")),
    "a received field that has a default": (("values", "Line", "stock"), parameter("int", optional=True)),
    "a new member that callers only send": (("enums", "Order", "NEWEST"), "newest"),
    "a new member of an enum that does not cross": (("enums", "Nowhere", "THERE"), "there"),
    "a new error": (("errors", "Lost"), {**OLD["errors"]["Gone"], "code": "lost"}),
    "another title": (("errors", "Gone", "title"), "It is gone"),
    "a new constant": (("constants", "LEAST"), 1),
    "a door that is opened to everybody": (("doors", "CatalogReports"), "everybody"),
    "a door that is opened to one more": (("doors", "CatalogReports"), ["app", "ordering", "users"]),
}


@pytest.mark.parametrize("claim", BREAKING)
def test_it_is_breaking_when(claim: str) -> None:
    path, value, rule, where = BREAKING[claim]

    breaking = [change for change in compare(OLD, changed(path, value)) if change.breaking]

    assert [(change.rule, change.where) for change in breaking] == [(rule, where)]


@pytest.mark.parametrize("claim", SAFE)
def test_it_is_safe_and_told(claim: str) -> None:
    changes = list(compare(OLD, changed(*SAFE[claim])))

    assert [change.breaking for change in changes] == [False]


def test_what_is_the_same_is_no_change() -> None:
    assert list(compare(OLD, copy.deepcopy(OLD))) == []


def test_a_renamed_error_is_recognised() -> None:
    new = copy.deepcopy(OLD)
    new["errors"]["Lost"] = new["errors"].pop("Gone")

    [what] = [change.what for change in compare(OLD, new) if change.breaking]

    assert what == "The error Gone is gone; Lost looks like its new name."


def test_directions_follow_fields_errors_and_events() -> None:
    sent, received = directions(OLD)

    assert sent == {"Filter", "Order", "Shade"}
    assert received == {"Found", "Line", "Status", "Shade", "Heard"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("int", "int | None"),
        ("tuple[int, ...]", "Sequence[int | None]"),
        ("tuple[int, str]", "Sequence[int | str]"),
        ("Mapping[str, int]", "Mapping[str, int | None]"),
        ("Literal['a']", "Literal['a', 'b']"),
        ("Sequence[tuple[int, ...]]", "Sequence[Sequence[int]]"),
    ],
)
def test_the_narrower_fits_the_wider_only(given: str, wanted: str) -> None:
    assert fits(given, wanted)
    assert not fits(wanted, given)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("Mapping[str, int]", "Mapping[str | int, int]"),
        ("tuple[int, ...]", "tuple[int, int]"),
        ("kernel.pure.values.Page[int]", "kernel.pure.values.Page[int | None]"),
        ("bool", "int"),
        ("not a type", "int"),
    ],
)
def test_in_doubt_nothing_fits(given: str, wanted: str) -> None:
    assert not fits(given, wanted)
