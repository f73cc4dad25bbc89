"""Field types for every schema: one text type, one money type, bounded ids and counts, and the base of bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from kernel.http.examples import kept
from kernel.pure.values import CENT, MAX_ID, MAX_PRICE, MAX_QUANTITY

MAX_STOCK: Final = 10_000_000

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_CONTROLS_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PRICE: Final = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")
_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


class Body(BaseModel):
    """Base of request bodies: unknown members are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    example: ClassVar[Mapping[str, Any] | None] = None
    """What a request can look like, for the documentation; the body of every route has one."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        if cls.example is not None:
            handler.resolve_ref_schema(described)["examples"] = [kept(cls.example)]
        return described

    @model_validator(mode="before")
    @classmethod
    def _refuse_numbers(cls, value: object) -> object:
        # The framework lets bodies be read from the attributes of objects, and a Decimal (`1.5` in our JSON) is one.
        if isinstance(value, Decimal):
            raise PydanticKnownError("model_attributes_type")
        return value


def absent() -> Any:
    """Default of a member that a merge patch may leave out, but may not set to null."""
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def changes(patch: Body) -> dict[str, Any]:
    """What a merge patch (RFC 7396) sets: the members that it names, null included."""
    return {name: getattr(patch, name) for name in type(patch).model_fields if name in patch.model_fields_set}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Makes a `str` bounded text without control characters: `Annotated[str, Text(max_length=80)]`.

    `lines=True` lets line breaks and tabs in. Surrounding white space goes, unless `strip=False` (passwords).
    """

    max_length: int
    min_length: int = 1
    lines: bool = False
    strip: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        forbidden = _CONTROLS_BUT_LINES if self.lines else _CONTROLS

        def without_controls(value: str) -> str:
            if forbidden.search(value):
                raise PydanticCustomError("control_character", "Text may not hold control characters")
            return value

        # Lone surrogates are refused by the string schema itself.
        return core_schema.no_info_after_validator_function(
            without_controls,
            core_schema.str_schema(
                strict=True, strip_whitespace=self.strip, min_length=self.min_length, max_length=self.max_length
            ),
        )


ShortText = Annotated[str, Text(max_length=200)]
LongText = Annotated[str, Text(max_length=10_000, lines=True)]


class _Price:
    """Takes `"19.99"`, `19.99` and `19`: never through a binary fraction, never with a third decimal."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_as_price, serialization=core_schema.to_string_ser_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "pattern": f"^{_PRICE.pattern}$"}
        number = {"type": "number", "minimum": 0, "maximum": float(MAX_PRICE), "description": "At most two decimals."}
        return {"anyOf": [text, number], "examples": ["19.99"]}


def _as_price(value: object) -> Decimal:
    if isinstance(value, str) and _PRICE.fullmatch(value):
        return Decimal(value).quantize(CENT)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_PRICE:
        return Decimal(value).quantize(CENT)
    if isinstance(value, float):
        # Bodies hold no floats (kernel.http.bodies reads Decimal); the shortest text is what a person meant.
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite() and 0 <= value <= MAX_PRICE:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent >= -2:
            return abs(value.quantize(CENT))
    raise PydanticCustomError(
        "price", "A price is a string from 0.00 to {maximum} with at most two decimals", {"maximum": str(MAX_PRICE)}
    )


PriceField = Annotated[Decimal, _Price()]
QuantityField = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)]
StockCount = Annotated[int, Field(strict=True, ge=0, le=MAX_STOCK)]


def _not_zero(value: int) -> int:
    if value == 0:
        raise PydanticCustomError("zero", "A movement of zero moves nothing")
    return value


IdField = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
"""An id inside a body."""


def _path_id(value: object) -> object:
    if isinstance(value, str) and not _ID.fullmatch(value):
        raise PydanticCustomError("identifier", "An id is a whole number")
    return value


Identifier = Annotated[int, Field(ge=1, le=MAX_ID), BeforeValidator(_path_id)]
"""An id in a path: anything that cannot be one is simply not there (404)."""
