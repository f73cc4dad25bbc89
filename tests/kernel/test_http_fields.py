"""Field types: what they take, what they refuse, and what they become."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kernel.http.fields import Body, Identifier, LongText, PriceField, QuantityField, ShortText, Text, absent, changes
from kernel.pure.values import MAX_PRICE

PRICE: TypeAdapter[Decimal] = TypeAdapter(PriceField)
SHORT: TypeAdapter[str] = TypeAdapter(ShortText)
LONG: TypeAdapter[str] = TypeAdapter(LongText)
PASSWORD: TypeAdapter[str] = TypeAdapter(Annotated[str, Text(max_length=9, strip=False)])
PATH_ID: TypeAdapter[int] = TypeAdapter(Identifier)


class ProductPatch(Body):
    name: ShortText = absent()
    description: LongText | None = None
    quantity: QuantityField = absent()


PRICES: list[tuple[object, str]] = [
    *(("19.99", "19.99"), ("19.9", "19.90"), ("19", "19.00"), ("0", "0.00"), ("00.10", "0.10"), ("99999999.99", "99999999.99")),
    *((19, "19.00"), (0, "0.00"), (Decimal("19.99"), "19.99"), (Decimal("1E+2"), "100.00"), (19.99, "19.99"), (0.1, "0.10")),
]
NO_PRICES: list[object] = [
    *("", " ", "1.999", "-1", "+1", "1,00", ".5", "5.", "1e2", "NaN", "inf", "0x1", "100000000", "1" * 5000, "１", "1\n"),
    *(None, True, -1, 10**8, 10**5000, 1.999, -0.01, float("nan"), float("inf"), 1e300, 1e-300, b"1", [1], {"a": 1}),
    *(Decimal(text) for text in ("NaN", "sNaN", "-Infinity", "1.999", "1E+999999", "1E-999999")),
]


@pytest.mark.parametrize(("given_price", "price"), PRICES)
def test_a_price_is_exact_and_has_two_decimals(given_price: object, price: str) -> None:
    assert str(PRICE.validate_python(given_price)) == price


@pytest.mark.parametrize("refused", NO_PRICES, ids=lambda value: type(value).__name__)
def test_what_is_no_price_is_refused(refused: object) -> None:
    with pytest.raises(ValidationError):
        PRICE.validate_python(refused)


@given(st.one_of(st.decimals(), st.floats(), st.integers(), st.text()))
def test_whatever_passes_as_a_price_fits_its_column(value: Any) -> None:
    try:
        price = PRICE.validate_python(value)
    except ValidationError:
        return
    assert 0 <= price <= MAX_PRICE
    assert price.as_tuple().exponent == -2
    assert Decimal(str(value)) == price


@given(st.text(st.characters(exclude_categories=[])))
def test_whatever_passes_as_text_can_be_stored(value: str) -> None:
    for kind in (SHORT, LONG, PASSWORD):
        try:
            text = kind.validate_python(value)
        except ValidationError:
            continue
        assert "\x00" not in text
        text.encode("utf-8")


def test_text_loses_surrounding_space_unless_told_otherwise() -> None:
    assert SHORT.validate_python("  a b\u3000") == "a b"
    assert PASSWORD.validate_python(" a b ") == " a b "


def test_only_long_text_has_lines() -> None:
    assert LONG.validate_python("a\n\tb") == "a\n\tb"
    for text in ("a\nb", "a\tb"):
        with pytest.raises(ValidationError):
            SHORT.validate_python(text)


def test_length_counts_characters() -> None:
    assert len(SHORT.validate_python("💣" * 200)) == 200
    with pytest.raises(ValidationError):
        SHORT.validate_python("💣" * 201)


@pytest.mark.parametrize("text", ["1", "17", str(2**63 - 1)])
def test_an_identifier_is_a_positive_bigint(text: str) -> None:
    assert PATH_ID.validate_python(text) == int(text)


def test_a_merge_patch_tells_absent_from_null() -> None:
    assert changes(ProductPatch.model_validate({})) == {}
    assert changes(ProductPatch.model_validate({"description": None})) == {"description": None}
    assert changes(ProductPatch.model_validate({"name": " Mug "})) == {"name": "Mug"}


@pytest.mark.parametrize("member", ["name", "quantity"])
def test_what_has_to_have_a_value_cannot_be_patched_to_null(member: str) -> None:
    with pytest.raises(ValidationError):
        ProductPatch.model_validate({member: None})


def test_bodies_refuse_unknown_members_and_changes() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        ProductPatch.model_validate({"role": "admin"})
    with pytest.raises(ValidationError, match="frozen"):
        ProductPatch.model_validate({"name": "a"}).name = "b"


def test_schemas_document_the_types() -> None:
    properties = ProductPatch.model_json_schema()["properties"]
    assert properties["name"] == {"title": "Name", "type": "string", "minLength": 1, "maxLength": 200}
    assert properties["quantity"] == {"title": "Quantity", "type": "integer", "minimum": 1, "maximum": 1_000_000}
    assert PRICE.json_schema() == {
        "anyOf": [
            {"type": "string", "pattern": r"^[0-9]{1,8}(\.[0-9]{1,2})?$"},
            {"type": "number", "minimum": 0, "maximum": 99_999_999.99, "description": "At most two decimals."},
        ],
        "examples": ["19.99"],
    }
