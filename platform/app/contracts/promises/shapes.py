"""Shapes: a JSON Schema taken apart into the alternatives that it allows, each of one kind of value, to be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

Schema = Mapping[str, Any]

ANY: Final = "any"
KINDS: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
ANNOTATIONS: Final = frozenset(
    {
        "title",
        "description",
        "examples",
        "example",
        "default",
        "deprecated",
        "$comment",
        "externalDocs",
        "readOnly",
        "writeOnly",
    }
)
"""Keywords that allow and refuse nothing. A changed default is looked at where the value is left out: at its object."""
_OF_KIND: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"}),
    "object": frozenset(
        {"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties"}
        | {"maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "discriminator"}
    ),
}
_MAX_DEPTH: Final = 40
"""Of references that lead to references; more is a circle."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One kind of value. `keywords` are what is asked of it; those that do not concern its kind are left out."""

    kind: str
    keywords: Schema = field(default_factory=dict)
    name: str | None = None
    """Of the component that it comes from."""

    def includes(self, other: Shape) -> bool:
        """Whether a value of the other's kind is one of this kind, too."""
        return self.kind in (other.kind, ANY) or (self.kind == "number" and other.kind == "integer")


class UnknownReference(ValueError):
    """The document has nothing where a `$ref` points."""


@dataclass(frozen=True, eq=False)
class Schemas:
    """The schemas of one document, in which references are looked up."""

    document: Mapping[str, Any]

    def resolve(self, reference: str) -> Schema:
        """Errors: UnknownReference."""
        place: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(place, Mapping) or name not in place:
                raise UnknownReference(f"The document has no {reference}.")
            place = place[name]
        found: Schema = place
        return found

    def shapes(self, schema: Schema | bool, depth: int = 0) -> list[Shape]:
        """What the schema allows: a value has to fit one of these. Empty: nothing fits."""
        if isinstance(schema, bool):
            return [Shape(ANY)] if schema else []
        flat, name = self._flat(schema, depth)
        for choice in ("anyOf", "oneOf"):
            if choice in flat:
                rest = {word: value for word, value in flat.items() if word != choice}
                found = [shape for each in flat[choice] for shape in self.shapes(_both(each, rest), depth + 1)]
                return [replace(shape, name=shape.name or name) for shape in found]
        return list(_by_kind(flat, name))

    def expanded(self, value: Any, trail: tuple[str, ...] = ()) -> Any:
        """With what references point at in their place, and without annotations."""
        if isinstance(value, Mapping):
            reference = value.get("$ref")
            if isinstance(reference, str):
                return reference if reference in trail else self.expanded(self.resolve(reference), (*trail, reference))
            return {word: self.expanded(each, trail) for word, each in value.items() if word not in ANNOTATIONS}
        return [self.expanded(each, trail) for each in value] if isinstance(value, list) else value

    def _flat(self, schema: Schema, depth: int) -> tuple[dict[str, Any], str | None]:
        """Without references and annotations, and with `allOf`, `const` and `nullable` put in other words."""
        if depth > _MAX_DEPTH:
            raise UnknownReference("References lead round in a circle.")
        flat = {word: value for word, value in schema.items() if word not in ANNOTATIONS}
        if "const" in flat:
            flat["enum"] = [flat.pop("const")]
        if flat.pop("nullable", False):
            return {"anyOf": [flat, {"type": "null"}]}, None
        if "$ref" in flat:
            reference = flat.pop("$ref")
            target, name = self._flat(_both(self.resolve(reference), flat), depth + 1)
            return target, name or reference.rpartition("/")[2]
        for member in flat.pop("allOf", ()):
            flat = _both(flat, self._flat(member, depth + 1)[0] if isinstance(member, Mapping) else member)
        return flat, None


def _both(one: Schema | bool, other: Schema | bool) -> dict[str, Any]:
    """A schema that asks what both ask. What cannot be said in one stays apart under `$both`, to be compared as a whole."""
    if one is False or other is False:
        return {"enum": []}
    one, other = ({} if asked is True else asked for asked in (one, other))
    merged = {name: value for name, value in one.items() if name not in ANNOTATIONS}
    for name, value in other.items():
        if name in ANNOTATIONS:
            continue
        if name not in merged or merged[name] == value:
            merged[name] = value
        elif name in _JOINED:
            merged[name] = _JOINED[name](merged[name], value)
        else:
            merged["$both"] = [*merged.get("$both", []), {name: value}]
    return merged


def _joined_properties(one: Schema, other: Schema) -> dict[str, Any]:
    shared = {name: {"allOf": [one[name], other[name]]} for name in one.keys() & other.keys() if one[name] != other[name]}
    return {**one, **other, **shared}


_JOINED: Final[Mapping[str, Any]] = {
    "properties": _joined_properties,
    "required": lambda one, other: sorted({*one, *other}),
    "type": lambda one, other: _joined_kinds(_listed(one), _listed(other)),
    "enum": lambda one, other: [value for value in one if as_text(value) in {as_text(each) for each in other}],
    "allOf": lambda one, other: [*one, *other],
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def _joined_kinds(one: Sequence[str], other: Sequence[str]) -> list[str]:
    shared = [kind for kind in one if kind in other]
    whole = ("integer" in one and "number" in other) or ("number" in one and "integer" in other)
    return [*shared, "integer"] if whole and "integer" not in shared else shared


def _listed(kinds: str | Sequence[str]) -> list[str]:
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _by_kind(flat: Schema, name: str | None) -> Iterator[Shape]:
    keywords = {word: value for word, value in flat.items() if word != "type"}
    values = keywords.pop("enum", None)
    if "type" in flat:
        kinds = _listed(flat["type"])
    elif values is not None:
        kinds = [kind for kind in KINDS if any(kind_of(value) == kind for value in values)]
    else:
        kinds = [ANY]
    for kind in kinds:
        own = {word: value for word, value in keywords.items() if _concerns(word, kind)}
        if kind == "integer":
            own = _inclusive(own)
        if values is not None:
            own["enum"] = [value for value in values if _is(value, kind)]
            if not own["enum"]:
                continue
        yield Shape(kind, own, name)


def _concerns(keyword: str, kind: str) -> bool:
    """Whether a keyword asks anything of values of this kind; what nobody knows here concerns all of them."""
    if kind == ANY:
        return True
    kind = "number" if kind == "integer" else kind
    owners = [owner for owner, words in _OF_KIND.items() if keyword in words]
    return not owners or kind in owners


def _inclusive(keywords: dict[str, Any]) -> dict[str, Any]:
    """Above 0 is from 1 on: for whole numbers, both are the same."""
    for exclusive, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        bound = keywords.get(exclusive)
        if isinstance(bound, int) and inclusive not in keywords:
            keywords[inclusive] = keywords.pop(exclusive) + step
    return keywords


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _is(value: Any, kind: str) -> bool:
    found = kind_of(value)
    return found == kind or (kind in (ANY, "number") and found == "integer") or kind == ANY


def as_text(value: Any) -> str:
    """Equal for equal JSON only: Python takes 1, 1.0 and True for the same."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
