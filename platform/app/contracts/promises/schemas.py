"""Schemas compared: what changed for those who send values, or for those who get them, each change by a written rule.

Requests: whatever the kept schema lets in, the new one has to let in. Answers, and events: whatever the new schema lets out,
the kept one has to have said, and what the kept one said is there has to be there. A change in the other direction is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from app.contracts.promises.places import Flow, Place
from app.contracts.promises.promise import Change
from app.contracts.promises.shapes import ANY, KINDS, Schema, Schemas, Shape, as_text

REQUEST_RULES: Final = {
    "new-required-input": "What clients have to send does not grow: a new field, parameter, header or body is optional.",
    "required-input": "What clients may leave out stays optional.",
    "removed-input": "A field that clients may send stays; the body they may send, too.",
    "narrowed-input": "What was taken is taken: types, values, bounds, patterns of what clients send are not tightened.",
    "changed-default": "What clients leave out goes on meaning the same.",
}
ANSWER_RULES: Final = {
    "removed-field": "A field that was answered goes on being answered, under its name.",
    "optional-field": "A field that was always there, and never null, goes on being there.",
    "widened-output": "Nothing comes that was ruled out: types and bounds of what is answered are not loosened.",
    "new-enum-member": "A closed list of values stays as it is: readers have a branch for each; one that may grow is a text.",
}
COMMON_RULES: Final = {
    "changed-schema": "What is allowed changes only in ways that can be judged; any other change counts as breaking.",
}

_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FORMS: Final = ("pattern", "format", "contentEncoding", "contentMediaType", "multipleOf", "uniqueItems")
"""More of these asks more; another one asks something else."""
_STRUCTURE: Final = frozenset({"enum", "properties", "required", "additionalProperties", "items", "prefixItems"})


class Effect(Enum):
    """On the set of values that are allowed."""

    NARROWED = "narrowed"
    WIDENED = "widened"


@dataclass(eq=False)
class Comparison:
    """From the kept document to the one of now, for values that flow one way. Each pair of components is compared once."""

    kept: Schemas
    now: Schemas
    flow: Flow
    components: bool = True
    """Whether components are known by their names, as generated clients do."""
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def compare(self, kept: Schema | bool, now: Schema | bool, place: Place) -> Iterator[Change]:
        yield from self._alternatives(self.kept.shapes(kept), self.now.shapes(now), place)

    def default(self, kept: Schema | bool, now: Schema | bool, place: Place) -> Iterator[Change]:
        """Of something that may be left out. No default, and null, both say: nothing."""
        before, after = (schema.get("default") if isinstance(schema, Mapping) else None for schema in (kept, now))
        if self.flow is Flow.REQUEST and as_text(before) != as_text(after):
            yield self._change(
                "changed-default", place, f"Left out, it meant {as_text(before)} and means {as_text(after)} now."
            )

    def narrowed(self, place: Place, what: str) -> Change:
        return self._effect(Effect.NARROWED, place, what)

    def widened(self, place: Place, what: str) -> Change:
        return self._effect(Effect.WIDENED, place, what)

    def _alternatives(self, kept: Sequence[Shape], now: Sequence[Shape], place: Place) -> Iterator[Change]:
        pairs, gone, come = self._paired(kept, now, place)
        for before, after in pairs:
            yield from self._shape(before, after, place)
        yield from self._taken_over(gone, come, kept, now, place)
        lost = [shape for shape in gone if not any(heir.includes(shape) for heir in now)]
        added = [shape for shape in come if not any(said.includes(shape) for said in kept)]
        if len(lost) == len(added) == 1 and "null" not in (lost[0].kind, added[0].kind):
            effect = Effect.NARROWED if self.flow is Flow.REQUEST else Effect.WIDENED
            yield self._effect(effect, place, f"It was {_kind(lost[0])} and is {_kind(added[0])}.")
            return
        for shape in lost:
            yield self.narrowed(place, f"It can be {_kind(shape)} no longer.")
        for shape in added:
            if shape.kind == "null" and self.flow is Flow.ANSWER:
                yield self._change("optional-field", place, "It can be null now, and never was.")
            else:
                yield self.widened(place, f"It can be {_kind(shape)} now.")

    def _taken_over(
        self, gone: Sequence[Shape], come: Sequence[Shape], kept: Sequence[Shape], now: Sequence[Shape], place: Place
    ) -> Iterator[Change]:
        """Alternatives that are part of a larger one on the other side, as whole numbers are of numbers."""
        if self.flow is Flow.REQUEST:
            for shape in gone:
                if heirs := [heir for heir in now if heir.includes(shape)]:
                    yield from _breaking(self._shape(shape, self._nearest(shape, heirs, place), place))
        else:
            for shape in come:
                if said := [former for former in kept if former.includes(shape)]:
                    yield from _breaking(self._shape(self._nearest(shape, said, place), shape, place))

    def _nearest(self, shape: Shape, others: Sequence[Shape], place: Place) -> Shape:
        return min(others, key=lambda other: self._difference(other, shape, place))

    def _paired(
        self, kept: Sequence[Shape], now: Sequence[Shape], place: Place
    ) -> tuple[list[tuple[Shape, Shape]], list[Shape], list[Shape]]:
        """Alternatives of one kind belong together; of several, those that differ least."""
        pairs, gone, come = [], [], []
        for kind in (*KINDS, ANY):
            before = [shape for shape in kept if shape.kind == kind]
            after = [shape for shape in now if shape.kind == kind]
            while before and after:
                if len(before) == len(after) == 1:
                    one, other = before[0], after[0]
                else:
                    one, other = min(
                        ((b, a) for b in before for a in after), key=lambda pair: self._difference(pair[0], pair[1], place)
                    )
                pairs.append((one, other))
                before.remove(one)
                after.remove(other)
            gone += before
            come += after
        return pairs, gone, come

    def _difference(self, kept: Shape, now: Shape, place: Place) -> tuple[int, int, bool]:
        """By trial, which leaves no trace."""
        trial = replace(self, _seen=set(self._seen))
        changes = list(trial._shape(kept, now, place))
        return sum(change.breaking for change in changes), len(changes), kept.name != now.name

    def _shape(self, kept: Shape, now: Shape, place: Place) -> Iterator[Change]:
        pair = (kept.name or "", now.name or "")
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        if self.components and kept.name:
            if kept.name != now.name:
                what = f"The schema {kept.name} is {f'called {now.name}' if now.name else 'written in place'} now."
                yield self._change("renamed-schema", replace(place.component(kept.name, self.flow), tail=""), what)
            place = place.component(kept.name, self.flow)
        yield from self._keywords(kept, now, place)
        if all(pair) and not self.components:
            self._seen.discard(pair)

    def _keywords(self, kept: Shape, now: Shape, place: Place) -> Iterator[Change]:
        before, after = kept.keywords, now.keywords
        yield from self._enum(before.get("enum"), after.get("enum"), place)
        if "object" in (kept.kind, now.kind):
            yield from self._object(before, after, place)
        if "array" in (kept.kind, now.kind):
            yield from self._array(before, after, place)
        for word in sorted((before.keys() | after.keys()) - _STRUCTURE):
            yield from self._keyword(word, before.get(word), after.get(word), place)

    def _keyword(self, word: str, kept: Any, now: Any, place: Place) -> Iterator[Change]:
        if as_text(self.kept.expanded(kept)) == as_text(self.now.expanded(now)):
            return
        effects = list(_effects(word, kept, now))
        for effect in effects:
            yield self._effect(effect, place, _was_is(word, kept, now))
        if not effects:
            yield self._change("changed-schema", place, _was_is(word, kept, now))

    def _enum(self, kept: Sequence[Any] | None, now: Sequence[Any] | None, place: Place) -> Iterator[Change]:
        if kept is None and now is None:
            return
        if now is None:
            yield self.widened(place, "Any value can stand where a closed list of them could.")
        elif kept is None:
            yield self.narrowed(place, f"Only {_listed(now)} can stand where any value could.")
        else:
            before, after = ({as_text(value) for value in values} for values in (kept, now))
            for value in sorted(before - after):
                yield self.narrowed(place, f"The value {value} is gone.")
            for value in sorted(after - before):
                if self.flow is Flow.ANSWER:
                    yield self._change("new-enum-member", place, f"The value {value} is new.")
                else:
                    yield self.widened(place, f"The value {value} is new.")

    def _array(self, kept: Schema, now: Schema, place: Place) -> Iterator[Change]:
        yield from self.compare(kept.get("items", True), now.get("items", True), place.item())
        before, after = kept.get("prefixItems", []), now.get("prefixItems", [])
        if len(before) != len(after):
            what = f"There were {len(before)} items with a place of their own, and are {len(after)} now."
            yield self._change("changed-schema", place, what)
            return
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from self.compare(one, other, place.item(number))

    def _object(self, kept: Schema, now: Schema, place: Place) -> Iterator[Change]:
        before, after = _members(kept), _members(now)
        must, must_now = set(kept.get("required", ())), set(now.get("required", ()))
        open_before, open_now = kept.get("additionalProperties", True), now.get("additionalProperties", True)
        for name in sorted(before.keys() - after.keys()):
            yield self._gone(name, before, after, place, open_now)
        for name in sorted(before.keys() & after.keys()):
            at = place.member(name)
            yield from self._presence(name in must, name in must_now, at)
            if name not in must:
                yield from self.default(before[name], after[name], at)
            yield from self.compare(before[name], after[name], at)
        for name in sorted(after.keys() - before.keys()):
            yield from self._come(name in must_now, open_before, after[name], place.member(name))
        yield from self._others(open_before, open_now, place)

    def _presence(self, must: bool, must_now: bool, place: Place) -> Iterator[Change]:
        if must == must_now:
            return
        if self.flow is Flow.REQUEST and must_now:
            yield self._change("required-input", place, "It could be left out, and has to be sent now.")
        elif self.flow is Flow.ANSWER and must:
            yield self._change("optional-field", place, "It was always there, and can be missing now.")
        else:
            yield self._change("presence", place, f"It is {'always there' if must_now else 'optional'} now.", breaking=False)

    def _gone(self, name: str, before: Schema, after: Schema, place: Place, open_now: Schema | bool) -> Change:
        at = place.member(name)
        if self.flow is Flow.REQUEST:
            what = f"The field is gone: what clients send in it is {'refused' if open_now is False else 'ignored'} now."
            return self._change("removed-input", at, what)
        new = [other for other in sorted(after.keys() - before.keys()) if self._same(before[name], after[other], at)]
        renamed = (
            f" {new[0]} is new and of the same form: a new name is a removal for those who read the old one." if new else ""
        )
        return self._change("removed-field", at, f"The field is gone.{renamed}")

    def _same(self, kept: Schema | bool, now: Schema | bool, place: Place) -> bool:
        return not list(replace(self, _seen=set(self._seen)).compare(kept, now, place))

    def _come(self, must: bool, open_before: Schema | bool, now: Schema | bool, place: Place) -> Iterator[Change]:
        if self.flow is Flow.REQUEST:
            if must:
                yield self._change("new-required-input", place, "The field is new, and has to be sent.")
            else:
                yield self._change("new-input", place, "The field is new.", breaking=False)
        elif open_before is False:
            yield self.widened(place, "The field is new, and it was said that there are no others.")
        else:
            yield self._change("new-field", place, "The field is new.", breaking=False)
        if isinstance(open_before, Mapping):
            yield from self.compare(open_before, now, place)

    def _others(self, kept: Schema | bool, now: Schema | bool, place: Place) -> Iterator[Change]:
        """Members without a name of their own."""
        if kept is False and now is not False:
            yield self.widened(place, "Members that are not described can stand there.")
        elif now is False and kept is not False:
            yield self.narrowed(place, "Members that are not described can stand there no longer.")
        elif kept is not False:
            yield from self.compare(kept, now, place.member("*"))

    def _effect(self, effect: Effect, place: Place, what: str) -> Change:
        narrowed, request = effect is Effect.NARROWED, self.flow is Flow.REQUEST
        rule = f"{effect.value}-{'input' if request else 'output'}"
        return self._change(rule, place, what, breaking=narrowed is request)

    def _change(self, rule: str, place: Place, what: str, *, breaking: bool = True) -> Change:
        seen = f" (Used at {place.seen}.)" if place.seen and breaking else ""
        return Change(rule=rule, where=str(place), what=f"{what}{seen}", breaking=breaking)


def _breaking(changes: Iterable[Change]) -> Iterator[Change]:
    return (change for change in changes if change.breaking)


def _effects(word: str, kept: Any, now: Any) -> Iterable[Effect]:
    """Of a keyword that changed; none when nobody here knows."""
    if word in (*_LOWER, *_UPPER):
        more = kept is None or (now is not None and (now > kept) is (word in _LOWER))
        return [Effect.NARROWED if more else Effect.WIDENED]
    if word in _FORMS:
        return [effect for effect, there in ((Effect.WIDENED, kept), (Effect.NARROWED, now)) if there not in (None, False)]
    return []


def _members(keywords: Schema) -> dict[str, Any]:
    return {**dict.fromkeys(keywords.get("required", ()), True), **keywords.get("properties", {})}


def _kind(shape: Shape) -> str:
    if shape.kind == ANY:
        return "anything"
    article = "" if shape.kind == "null" else "an " if shape.kind[0] in "aio" else "a "
    return f"{article}{shape.kind}{'' if shape.name is None else f' ({shape.name})'}"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(as_text(value) for value in values)


def _was_is(word: str, kept: Any, now: Any) -> str:
    if kept is None:
        return f"There is a {word} now: {as_text(now)}."
    if now is None:
        return f"There is no {word} any more; it was {as_text(kept)}."
    return f"The {word} was {as_text(kept)} and is {as_text(now)}."
