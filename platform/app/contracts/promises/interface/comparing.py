"""Comparing: what a new interface breaks for those who kept to the old one.

A caller *sends* what stands in parameters, and *receives* what stands in results, on errors and in events; a DTO or enum that
stands within another goes the same way. What is sent may become more, what is received may become less: a new member of an
enum that callers receive is one that they do not expect, and a new required field of a DTO that they make is one that they do
not give. Where a type stands is read from the old interface, because nobody can have relied on the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.contracts.promises.interface.describing import EVERYBODY, WORD
from app.contracts.promises.interface.fitting import fits, may_be_none, without_none
from app.contracts.promises.promise import Change, Document

CHANGES: Final = {
    "removed-name": "Protocols, DTOs, enums, errors and constants of an interface stay, under their names.",
    "removed-method": "A method that others may call stays.",
    "removed-parameter": "A parameter that callers may give stays.",
    "required-parameter": "No parameter is required that callers did not have to give before.",
    "changed-parameter": "A parameter takes whatever it took before.",
    "changed-result": "A method answers nothing that it could not answer before.",
    "removed-field": "A field of a DTO, or an attribute of an error, stays.",
    "required-field": "A DTO that callers make needs no field that they did not have to give before.",
    "optional-field": "A field that callers receive is never None when it was not before.",
    "changed-field": "A field takes what callers gave, and holds what they expect.",
    "removed-member": "A member of an enum stays.",
    "changed-member": "A member of an enum keeps its value.",
    "new-member": "An enum that callers receive has no member that they do not know.",
    "changed-constant": "A constant keeps its value.",
    "changed-error-code": "An error keeps its code: clients know it by that.",
    "changed-error-kind": "An error stays of its kind, with its status, and under the errors that it can be caught as.",
    "narrowed-door": "Whoever may use a Protocol may go on using it.",
}
"""Breaking changes, each a rule of the gate `interface`."""

_SECTIONS: Final = {"protocols": "Protocol", "values": "DTO", "enums": "enum", "errors": "error", "constants": "constant"}


def compare(old: Document, new: Document) -> Iterator[Change]:
    yield from _Comparison(old, new).changes()


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._sent, self._received = directions(old)

    def changes(self) -> Iterator[Change]:
        for section, word in _SECTIONS.items():
            old, new = self._old.get(section, {}), self._new.get(section, {})
            yield from self._gone("removed-name", "", f"The {word}", old, new)
            for name in new:
                if name not in old:
                    yield self._safe(name, f"The {word} {name} is new.")
                elif section != "constants" and old[name] != new[name]:
                    yield from getattr(self, f"_{section}")(name, old[name], new[name])
        yield from self._constants()
        yield from self._doors()
        if set(self._old.get("announced", ())) != set(self._new.get("announced", ())):
            yield self._safe("events", "Other DTOs are carried by events.")

    def _breaking(self, rule: str, where: str, what: str) -> Change:
        return Change(rule=rule, where=f"{self._new['module']}.{where}", what=what, breaking=True)

    def _safe(self, where: str, what: str) -> Change:
        return Change(rule="safe", where=f"{self._new['module']}.{where}", what=what, breaking=False)

    def _gone(self, rule: str, within: str, word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
        for name in old:
            if name not in new:
                alike = [other for other in new if other not in old and new[other] == old[name]]
                hint = f"; {alike[0]} looks like its new name" if len(alike) == 1 else ""
                yield self._breaking(rule, f"{within}{name}", f"{word} {name} is gone{hint}.")

    def _protocols(self, name: str, old: Document, new: Document) -> Iterator[Change]:
        yield from self._gone("removed-method", f"{name}.", f"{name}'s method", old, new)
        for method in new:
            called = f"{name}.{method}"
            if method not in old:
                yield self._safe(called, f"The method {called} is new.")
                continue
            yield from self._parameters(called, old[method]["parameters"], new[method]["parameters"])
            before, now = old[method]["result"], new[method]["result"]
            if not fits(now, before):
                yield self._breaking("changed-result", called, f"{called} answers {now}, and answered {before}.")
            elif now != before:
                yield self._safe(called, f"{called} answers {now}, which {before} covers.")

    def _parameters(self, called: str, old: Document, new: Document) -> Iterator[Change]:
        for name in old:
            if name not in new:
                alike = [other for other in new if other not in old and new[other] == old[name]]
                hint = f"; `{alike[0]}` looks like its new name" if len(alike) == 1 else ""
                yield self._breaking("removed-parameter", f"{called}({name})", f"{called} takes no `{name}` any more{hint}.")
        for name, parameter in new.items():
            where = f"{called}({name})"
            before = old.get(name)
            if not parameter["optional"] and (before is None or before["optional"]):
                gave = "which callers need not have given" if before else "which is new"
                yield self._breaking("required-parameter", where, f"{called} requires `{name}`, {gave}.")
            elif before is None:
                yield self._safe(where, f"{called} can be given `{name}`.")
            elif parameter["optional"] and not before["optional"]:
                yield self._safe(where, f"{called} does not require `{name}` any more.")
            if before is not None and not fits(before["type"], parameter["type"]):
                what = f"{called} takes `{name}` as {parameter['type']}, and took {before['type']}."
                yield self._breaking("changed-parameter", where, what)
            elif before is not None and before["type"] != parameter["type"]:
                yield self._safe(where, f"{called} takes `{name}` also as {parameter['type']}.")

    def _values(self, name: str, old: Document, new: Document) -> Iterator[Change]:
        yield from self._gone("removed-field", f"{name}.", f"{name}'s field", old, new)
        sent = name in self._sent
        # Whoever got hold of a value some other way can at most have read it.
        received = name in self._received or not sent
        for field, now in new.items():
            where, before = f"{name}.{field}", old.get(field)
            if sent and now.get("optional") is False and (before is None or before.get("optional", True)):
                gave = "which callers need not have given" if before else "which is new"
                yield self._breaking("required-field", where, f"{name} cannot be made without `{field}`, {gave}.")
            elif before is None:
                yield self._safe(where, f"The field {where} is new.")
            elif sent and "computed" in now and "computed" not in before:
                yield self._breaking("removed-field", where, f"{name} cannot be given `{field}` any more: it is computed.")
            elif now["type"] == before["type"] and now != before:
                yield self._safe(where, f"{where} is given in another way.")
            if before is not None and now["type"] != before["type"]:
                yield self._field_type(where, before["type"], now["type"], sent=sent, received=received)

    def _field_type(self, where: str, before: str, now: str, *, sent: bool, received: bool) -> Change:
        what = f"{where} is {now}, and was {before}."
        if received and may_be_none(now) and not may_be_none(before) and fits(without_none(now), before):
            return self._breaking("optional-field", where, f"{where} can be None now, for which callers are not prepared.")
        if (sent and not fits(before, now)) or (received and not fits(now, before)):
            return self._breaking("changed-field", where, what)
        return self._safe(where, what)

    def _enums(self, name: str, old: Document, new: Document) -> Iterator[Change]:
        yield from self._gone("removed-member", f"{name}.", f"{name}'s member", old, new)
        for member, value in new.items():
            where = f"{name}.{member}"
            if member not in old and name in self._received:
                what = f"{where} is new, and callers receive a {name}: one that tells all members apart does not know it."
                yield self._breaking("new-member", where, what)
            elif member not in old:
                yield self._safe(where, f"The member {where} is new.")
            elif old[member] != value:
                yield self._breaking("changed-member", where, f"{where} is {value!r}, and was {old[member]!r}.")

    def _errors(self, name: str, old: Document, new: Document) -> Iterator[Change]:
        if old["code"] != new["code"]:
            what = f"{name} has the code {new['code']!r}, and had {old['code']!r}."
            yield self._breaking("changed-error-code", name, what)
        lost = [base for base in old["bases"] if base not in new["bases"]]
        if lost or old["kind"] != new["kind"]:
            what = f"{name} is of the kind {new['kind']}, and was {old['kind']}"
            caught = f": who catches {' or '.join(lost)} misses it" if lost else ""
            yield self._breaking("changed-error-kind", name, f"{what}{caught}.")
        yield from self._gone("removed-field", f"{name}.", f"{name}'s attribute", old["attributes"], new["attributes"])
        for attribute, now in new["attributes"].items():
            where, before = f"{name}.{attribute}", old["attributes"].get(attribute)
            if before is None:
                yield self._safe(where, f"The attribute {where} is new.")
            elif before != now:
                yield self._field_type(where, before, now, sent=False, received=True)
        if old["title"] != new["title"] or len(old["bases"]) < len(new["bases"]):
            yield self._safe(name, f"{name} is called {new['title']!r}, and is {' and '.join(new['bases'])}.")

    def _constants(self) -> Iterator[Change]:
        old, new = self._old.get("constants", {}), self._new.get("constants", {})
        for name, value in new.items():
            if name in old and old[name] != value:
                yield self._breaking("changed-constant", name, f"{name} is {value!r}, and was {old[name]!r}.")

    def _doors(self) -> Iterator[Change]:
        old, new = self._old.get("doors", {}), self._new.get("doors", {})
        for name, before in old.items():
            if name not in self._new.get("protocols", {}):
                continue  # gone, which is told
            now = new.get(name, [])
            if before != EVERYBODY and now != EVERYBODY:
                lost = [module for module in before if module not in now]
            else:
                lost = [EVERYBODY] if before == EVERYBODY and now != EVERYBODY else []
            if lost:
                left = "nobody" if not now else " and ".join(now)
                what = f"{name} is not offered to {' and '.join(lost)} any more, but to {left}."
                yield self._breaking("narrowed-door", name, what)
            elif before != now:
                yield self._safe(name, f"{name} is offered to {now if now == EVERYBODY else ' and '.join(now)}.")


def directions(document: Document) -> tuple[frozenset[str], frozenset[str]]:
    """The DTOs and enums that callers send, and those that they receive."""
    called = [method for protocol in document.get("protocols", {}).values() for method in protocol.values()]
    sent = [parameter["type"] for method in called for parameter in method["parameters"].values()]
    received = [method["result"] for method in called]
    received += [text for error in document.get("errors", {}).values() for text in error["attributes"].values()]
    received += document.get("announced", [])
    return _within(document, sent), _within(document, received)


def _within(document: Document, texts: list[str]) -> frozenset[str]:
    """The names in these types, and in the fields of these names."""
    values = document.get("values", {})
    seen: set[str] = set()
    waiting = list(texts)
    while waiting:
        for word in WORD.findall(waiting.pop()):
            if word not in seen and (word in values or word in document.get("enums", {})):
                seen.add(word)
                waiting += [field["type"] for field in values.get(word, {}).values()]
    return frozenset(seen)
