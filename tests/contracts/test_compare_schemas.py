"""Schemas compared, on small documents: what is breaking for those who send, and for those who get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contracts.promises.places import Flow, Place
from app.contracts.promises.promise import Change
from app.contracts.promises.schemas import Comparison
from app.contracts.promises.shapes import Schemas

Json = dict[str, Any]


def changes(kept: Any, now: Any, flow: Flow, *, parts: Mapping[str, Any] | None = None, new: Any = None) -> list[Change]:
    before = Schemas({"components": {"schemas": parts or {}}})
    after = Schemas({"components": {"schemas": parts if new is None else new}})
    return list(Comparison(before, after, flow).compare(kept, now, Place("here")))


def breaking(kept: Any, now: Any, flow: Flow, **documents: Any) -> list[str]:
    return [change.rule for change in changes(kept, now, flow, **documents) if change.breaking]


def sent(kept: Any, now: Any, **documents: Any) -> list[str]:
    return breaking(kept, now, Flow.REQUEST, **documents)


def answered(kept: Any, now: Any, **documents: Any) -> list[str]:
    return breaking(kept, now, Flow.ANSWER, **documents)


def thing(required: tuple[str, ...] = (), **fields: Any) -> Json:
    return {"type": "object", "properties": fields, "required": list(required)}


TEXT: Final[Json] = {"type": "string"}
WHOLE: Final[Json] = {"type": "integer"}
NULL: Final[Json] = {"type": "null"}


class TestWhatClientsSend:
    @pytest.mark.parametrize(
        ("kept", "now"),
        [
            ({"type": "string", "maxLength": 64}, {"type": "string", "maxLength": 32}),
            (TEXT, {"type": "string", "maxLength": 32}),
            ({"type": "string", "minLength": 1}, {"type": "string", "minLength": 2}),
            ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}),
            ({"type": "number", "exclusiveMaximum": 9}, {"type": "number", "exclusiveMaximum": 8}),
            ({"type": "array", "items": TEXT, "maxItems": 3}, {"type": "array", "items": TEXT, "maxItems": 2}),
            (TEXT, {"type": "string", "pattern": "^a"}),
            (TEXT, {"type": "string", "format": "uuid"}),
            ({"enum": ["a", "b"]}, {"enum": ["a"]}),
            (TEXT, {"enum": ["a"], "type": "string"}),
            ({"enum": ["a", "b"]}, {"const": "a"}),
            ({"type": "number"}, WHOLE),
            ({"anyOf": [TEXT, NULL]}, TEXT),
            ({"type": ["string", "null"]}, TEXT),
            ({"type": "string", "nullable": True}, TEXT),
            ({}, TEXT),
            (True, WHOLE),
            ({"type": "object"}, {"type": "object", "additionalProperties": False}),
            ({"type": "array"}, {"type": "array", "items": WHOLE}),
            ({"type": "array"}, {"type": "array", "uniqueItems": True}),
        ],
    )
    def test_what_was_taken_and_is_refused_is_breaking_and_the_way_back_is_not(self, kept: Any, now: Any) -> None:
        assert "narrowed-input" in sent(kept, now)
        assert sent(now, kept) == []

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (TEXT, WHOLE),
            ({"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}),
            ({"type": "array", "items": TEXT}, {"type": "array", "items": WHOLE}),
            ({"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 3}),
        ],
    )
    def test_something_else_is_breaking_either_way(self, one: Any, other: Any) -> None:
        assert sent(one, other) == sent(other, one) == ["narrowed-input"]

    def test_a_new_field_that_has_to_be_sent_is_breaking(self) -> None:
        assert sent(thing(), thing(("a",), a=TEXT)) == ["new-required-input"]

    def test_a_new_field_that_may_be_left_out_is_safe(self) -> None:
        (change,) = changes(thing(), thing(a=TEXT), Flow.REQUEST)
        assert (change.rule, change.breaking) == ("new-input", False)

    def test_a_field_that_could_be_left_out_stays_so(self) -> None:
        assert sent(thing(a=TEXT), thing(("a",), a=TEXT)) == ["required-input"]
        assert sent(thing(("a",), a=TEXT), thing(a=TEXT)) == []

    def test_a_field_that_is_not_taken_any_more_is_breaking(self) -> None:
        closed = {**thing(b=TEXT), "additionalProperties": False}

        assert sent(thing(a=TEXT, b=TEXT), closed)[0] == "removed-input"

    def test_another_default_means_another_request(self) -> None:
        assert sent(thing(a={**WHOLE, "default": 20}), thing(a={**WHOLE, "default": 50})) == ["changed-default"]
        assert sent(thing(a={**WHOLE, "default": 20}), thing(a=WHOLE)) == ["changed-default"]

    def test_a_default_of_null_is_as_good_as_none(self) -> None:
        assert sent(thing(a={**WHOLE, "default": None}), thing(a=WHOLE)) == []

    def test_the_default_of_what_had_to_be_sent_harms_nobody(self) -> None:
        assert sent(thing(("a",), a=WHOLE), thing(a={**WHOLE, "default": 1})) == []


class TestWhatClientsGet:
    @pytest.mark.parametrize(
        ("kept", "now", "rule"),
        [
            ({"type": "string", "maxLength": 32}, {"type": "string", "maxLength": 64}, "widened-output"),
            ({"type": "string", "format": "uuid"}, TEXT, "widened-output"),
            (WHOLE, {"type": "number"}, "widened-output"),
            (TEXT, WHOLE, "widened-output"),
            (TEXT, {}, "widened-output"),
            ({"enum": ["a"]}, {"enum": ["a", "b"]}, "new-enum-member"),
            ({"enum": ["a"]}, TEXT, "widened-output"),
            (TEXT, {"anyOf": [TEXT, NULL]}, "optional-field"),
            (thing(("a",), a=TEXT), thing(a=TEXT), "optional-field"),
            (thing(("a",), a=TEXT), thing(), "removed-field"),
            (thing(a=TEXT), thing(), "removed-field"),
            ({**thing(), "additionalProperties": False}, thing(), "widened-output"),
        ],
    )
    def test_what_was_ruled_out_and_can_come_is_breaking(self, kept: Any, now: Any, rule: str) -> None:
        assert answered(kept, now) == [rule]

    @pytest.mark.parametrize(
        ("kept", "now"),
        [
            ({"type": "string", "maxLength": 64}, {"type": "string", "maxLength": 32}),
            ({"anyOf": [TEXT, NULL]}, TEXT),
            ({"enum": ["a", "b"]}, {"enum": ["a"]}),
            (thing(a=TEXT), thing(("a",), a=TEXT)),
            (thing(a=TEXT), thing(a=TEXT, b=WHOLE)),
            ({"type": "number"}, WHOLE),
        ],
    )
    def test_less_than_was_said_harms_nobody(self, kept: Any, now: Any) -> None:
        assert answered(kept, now) == []
        assert changes(kept, now, Flow.ANSWER), "but it is told"

    def test_a_new_name_is_told_as_what_it_is(self) -> None:
        (gone, _) = changes(thing(("price",), price=TEXT), thing(("amount",), amount=TEXT), Flow.ANSWER)

        assert "amount is new and of the same form" in gone.what

    def test_a_new_default_is_nothing_to_readers(self) -> None:
        assert changes(thing(a={**WHOLE, "default": 1}), thing(a={**WHOLE, "default": 2}), Flow.ANSWER) == []


class TestHowSchemasAreRead:
    def test_words_are_no_promise(self) -> None:
        kept = thing(a={"type": "string", "title": "A", "description": "old", "examples": ["x"]})

        assert changes(kept, thing(a={"type": "string", "description": "new"}), Flow.REQUEST) == []

    def test_a_field_may_be_called_like_a_keyword(self) -> None:
        assert answered(thing(title=TEXT, description=TEXT), thing(title=TEXT)) == ["removed-field"]

    def test_references_are_followed_and_each_schema_is_told_of_once(self) -> None:
        use = thing(one={"$ref": "#/components/schemas/P"}, other={"$ref": "#/components/schemas/P"})
        found = changes(use, use | {}, Flow.ANSWER, parts={"P": thing(("a",), a=TEXT)}, new={"P": thing()})

        assert [(change.rule, change.where) for change in found] == [("removed-field", "P.a in answers")]
        assert "(Used at here one.)" in found[0].what

    def test_schemas_that_contain_themselves_come_to_an_end(self) -> None:
        tree = {"T": thing(a=TEXT, children={"type": "array", "items": {"$ref": "#/components/schemas/T"}})}
        bare = {"T": thing(children={"type": "array", "items": {"$ref": "#/components/schemas/T"}})}
        top = {"$ref": "#/components/schemas/T"}

        assert answered(top, dict(top), parts=tree, new=tree) == []
        assert answered(top, dict(top), parts=tree, new=bare) == ["removed-field"]

    def test_another_name_of_a_schema_is_told(self) -> None:
        found = breaking(
            {"$ref": "#/components/schemas/Old"},
            {"$ref": "#/components/schemas/New"},
            Flow.ANSWER,
            parts={"Old": thing(a=TEXT)},
            new={"New": thing(a=TEXT)},
        )
        assert found == ["renamed-schema"]

    def test_all_of_is_read_as_one(self) -> None:
        split = {"allOf": [thing(("a",), a=TEXT), thing(("b",), b=WHOLE)]}

        assert changes(split, thing(("a", "b"), a=TEXT, b=WHOLE), Flow.REQUEST) == []
        assert sent(thing(("a", "b"), a=TEXT, b=WHOLE), {"allOf": [split, {"properties": {"a": {"maxLength": 3}}}]})

    def test_alternatives_find_each_other_in_any_order(self) -> None:
        cash, card = thing(("cash",), cash=TEXT), thing(("card",), card=TEXT)

        assert changes({"anyOf": [cash, card]}, {"oneOf": [card, cash]}, Flow.REQUEST) == []
        assert sent({"anyOf": [cash, card]}, card)

    @pytest.mark.parametrize("word", ["not", "if", "x-secret", "patternProperties", "dependentRequired", "contains"])
    def test_a_keyword_that_nobody_knows_never_passes_silently(self, word: str) -> None:
        kind: Json = {"type": "array"} if word == "contains" else {"type": "object"}
        kept, now = {**kind, word: {"a": {"type": "string"}}}, {**kind, word: {"a": {"type": "integer"}}}

        assert sent(kept, now) == answered(kept, now) == ["changed-schema"]

    def test_what_a_reference_leads_to_counts_in_unknown_keywords_too(self) -> None:
        schema = {"type": "object", "not": {"$ref": "#/components/schemas/P"}}

        assert sent(schema, dict(schema), parts={"P": TEXT}, new={"P": WHOLE}) == ["changed-schema"]

    def test_true_is_not_one(self) -> None:
        assert sent({"enum": [True]}, {"enum": [1]})


def _schemas() -> st.SearchStrategy[Any]:
    """Small closed schemas, rich in what narrows and widens."""
    bound = st.integers(0, 3)
    leaves = st.one_of(
        st.sampled_from([TEXT, WHOLE, NULL, {"type": "number"}, {"type": "boolean"}, {}, {"type": ["string", "null"]}]),
        st.lists(st.sampled_from(["a", "bb", 1, None, True]), min_size=1, max_size=3).map(lambda values: {"enum": values}),
        st.builds(lambda low, high: {"type": "string", "minLength": low, "maxLength": low + high}, bound, bound),
        st.builds(lambda low, high: {"type": "integer", "minimum": low, "maximum": low + high}, bound, bound),
        st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, bound),
    )

    def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        names = st.sampled_from(["a", "b", "c"])
        objects = st.builds(
            lambda fields, must: {
                "type": "object",
                "properties": fields,
                "required": sorted(must & fields.keys()),
                "additionalProperties": False,
            },
            st.dictionaries(names, inner, max_size=2),
            st.frozensets(names),
        )
        arrays = st.builds(lambda item, most: {"type": "array", "items": item, "maxItems": most}, inner, bound)
        return st.one_of(objects, arrays, st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}))

    return st.recursive(leaves, grown, max_leaves=5)


LEAVES: Final = ["", "a", "bb", "ccc", "dddddd", 0, 1, 2, 3, 5, 1.5, None, True, False]
LISTS: Final = [[], *([leaf] * times for leaf in LEAVES for times in (1, 2, 4)), [["a"]], [{}], [{"a": 1}]]
THINGS: Final = [
    {},
    *({name: leaf} for name in "abc" for leaf in [*LEAVES, [], {}, ["a"], {"a": "a"}]),
    *({"a": one, "b": other} for one in LEAVES for other in ("a", 1, None)),
]
VALUES: Final = [*LEAVES, *LISTS, *THINGS]


def _accepted(schema: Any) -> list[bool]:
    validator = jsonschema_rs.validator_for(schema)
    return [validator.is_valid(value) for value in VALUES]


class TestForAnySchemas:
    @given(_schemas(), st.sampled_from(Flow))
    @settings(max_examples=100, deadline=None)
    def test_nothing_changed_is_nothing_told(self, schema: Any, flow: Flow) -> None:
        assert changes(schema, {"anyOf": [schema]}, flow) == []

    @given(_schemas(), _schemas())
    @settings(max_examples=300, deadline=None)
    def test_what_was_taken_and_is_refused_is_always_told(self, kept: Any, now: Any) -> None:
        if any(before and not after for before, after in zip(_accepted(kept), _accepted(now), strict=True)):
            assert sent(kept, now)

    @given(_schemas(), _schemas())
    @settings(max_examples=300, deadline=None)
    def test_what_was_ruled_out_and_comes_is_always_told(self, kept: Any, now: Any) -> None:
        if any(after and not before for before, after in zip(_accepted(kept), _accepted(now), strict=True)):
            assert answered(kept, now)
