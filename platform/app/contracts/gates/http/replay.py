"""Replay: the kept document against the code of now. First the requests that modules wrote down, then made-up ones.

Made-up requests are valid by the kept document; ids in them are those of things that are there, else every answer were 404.
The same requests are made in each run.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET
from schemathesis.generation.feedback import NO_FEEDBACK

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.http.answers import departures
from app.contracts.gates.http.requests import Asked, filled, operation_places, read_requests
from app.contracts.gates.http.world import World
from app.contracts.promises.promise import Document, Promise

_SMALL, _FULL = 3, 60
_PEOPLE: Final = ("admin", "customer")
"""Requests of these names log in; made-up requests are theirs."""
_KEY: Final = "Idempotency-Key"
_CONFIG: Final = {
    "seed": 1,
    "generation": {
        "mode": "positive",
        "deterministic": True,
        "allow-x00": False,
        "allow-extra-parameters": False,
        "with-security-parameters": False,
    },
}
_FIX: Final = (
    "Serve it as before, beside the new way. If it has to change, that is breaking: change what the code documents, agree with"
    " the consumers, and run `emporium contracts accept {module}`."
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a kept document."""

    module: str
    place: str
    schema: Any
    raw: Mapping[str, Any]

    @property
    def method(self) -> str:
        return self.place.partition(" ")[0]

    def callers(self) -> Sequence[str | None]:
        security = self.raw.get("security")
        if not security:
            return (None,)
        return (None, _PEOPLE[0]) if {} in security else _PEOPLE


@dataclass(eq=False)
class Replay:
    """One run: what has been answered so far, and what was found."""

    bench: Bench
    world: World
    operations: Mapping[str, Operation]
    answers: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Values of path parameters, by name."""
    paths: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Values of a path's parameters, together, by the path."""
    _reads: dict[str, Case[Any]] = field(default_factory=dict)
    """Something that each person could read, by the person."""

    def written(self, module: str) -> Iterator[Finding]:
        """The requests that the module wrote down, in their order."""
        for number, asked in enumerate(read_requests(self.bench.root, module), 1):
            operation = self.operations.get(asked.operation)
            # What an answer that did not come would have said cannot be sent; that it did not come has been told.
            if operation is None or not asked.names() <= self.answers.keys():
                continue
            try:
                case = self._case(asked, operation, number)
            except KeyError as error:
                what = f"The request {asked.name or asked.operation} cannot be made: no answer says {error.args[0]}."
                yield self._finding(operation, what)
                continue
            response = self._send(case, asked.caller)
            if response.status_code == asked.status:
                self._remember(asked, case, response)
            else:
                told = f"{response.status_code}{_code(response)}"
                what = (
                    f"The request {asked.name or asked.operation} of {module} was answered {asked.status}, and is {told} now."
                )
                yield self._finding(operation, what)
            for departure in departures(case, response):
                yield self._finding(operation, f"Of a request that the snapshot allows, {departure}.")

    def made_up(self, operation: Operation, count: int) -> Iterator[Finding]:
        """Requests that the document allows, by everybody who may call."""
        choices = {name: cycle(values) for name, values in sorted(self.ids.items())}
        together = cycle(self._known_paths(operation))
        for case in _examples(operation.schema, count):
            for caller in operation.callers():
                sent = operation.schema.Case(
                    path_parameters={**case.path_parameters, **next(together)},
                    query=case.query,
                    headers=case.headers,
                    body=_with_ids(case.body, choices),
                    media_type=case.media_type,
                )
                for departure in departures(sent, self._send(sent, caller)):
                    yield self._finding(operation, f"Of a request that the snapshot allows, {departure}.")

    def unharmed(self) -> bool:
        """Whether everybody can still do what they could."""
        return all(self._send(case, caller).status_code < 400 for caller, case in self._reads.items())

    def _case(self, asked: Asked, operation: Operation, number: int) -> Case[Any]:
        """Errors: KeyError."""
        body = NOT_SET if asked.body is None else filled(asked.body, self.answers)
        kinds = operation.raw.get("requestBody", {}).get("content", {})
        headers = {name: str(value) for name, value in filled(asked.headers, self.answers).items()}
        if any(parameter["name"] == _KEY and parameter.get("required") for parameter in operation.raw.get("parameters", [])):
            headers.setdefault(_KEY, f"{operation.module}-{number}")
        at = self.answers[asked.at] if asked.at is not None else {}
        wanted = re.findall(r"{(\w+)}", operation.place)
        path = {**{name: at[name] for name in wanted if name in at}, **filled(asked.path, self.answers)}
        for name in wanted:
            if name not in path:
                raise KeyError(name)
        case: Case[Any] = operation.schema.Case(
            path_parameters=path,
            query=filled(asked.query, self.answers),
            headers=headers,
            body=body,
            media_type=next(iter(kinds), None) if body is not NOT_SET else None,
        )
        return case

    def _send(self, case: Case[Any], caller: str | None) -> Response:
        headers = {} if caller is None else {"Authorization": f"Bearer {self.answers[caller]['access_token']}"}
        response: Response = case.call(session=self.world.client, headers=headers)
        return response

    def _remember(self, asked: Asked, case: Case[Any], response: Response) -> None:
        """What the answer says, and the values of the path that it, or its Location, names."""
        if asked.caller in _PEOPLE and case.method == "GET":
            self._reads.setdefault(asked.caller, case)
        body = _json(response)
        named: dict[str, Any] = dict(case.path_parameters or {})
        location = response.headers.get("location")
        if location:
            named |= self._bound(location[0])
        for name, value in named.items():
            if value not in self.ids[name]:
                self.ids[name].append(value)
        if asked.name is not None:
            self.answers[asked.name] = {**(body if isinstance(body, dict) else {"body": body}), **named}

    def _bound(self, location: str) -> Mapping[str, Any]:
        """The values of a path's parameters in an address."""
        for operation in self.operations.values():
            template = operation.place.partition(" ")[2]
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            if "{" in template and (match := re.fullmatch(pattern, location)):
                found = {name: int(value) if value.isdigit() else value for name, value in match.groupdict().items()}
                self.paths[template].append(found)
                return found
        return {}

    def _known_paths(self, operation: Operation) -> list[Mapping[str, Any]]:
        """Values for the parameters of its path that belong together: those of the longest known path that it begins with."""
        path = operation.place.partition(" ")[2]
        names = set(re.findall(r"{(\w+)}", path))
        known = sorted((template for template in self.paths if path.startswith(template)), key=len)
        if not known:
            return [{}]
        return [{name: value for name, value in each.items() if name in names} for each in self.paths[known[-1]]]

    def _finding(self, operation: Operation, what: str) -> Finding:
        fix = _FIX.format(module=operation.module)
        return Finding(rule="http/replay", module=operation.module, where=operation.place, what=what, fix=fix)


def replay(bench: Bench, promise: Promise) -> Iterator[Finding]:
    """The live half of the gate."""
    kept = {built.name: promise.kept(bench.root, built.name) for built in bench.modules if built.name in bench.facts}
    with World(bench.laboratory) as world:
        operations = {
            name: operation for module, document in kept.items() for name, operation in _operations(module, document, world)
        }
        run = Replay(bench, world, operations)
        for module in kept:
            for finding in run.written(module):
                if bench.wants(module):
                    yield finding
        if set(_PEOPLE) <= run.answers.keys():
            yield from _made_up(bench, world, run)


def _made_up(bench: Bench, world: World, run: Replay) -> Iterator[Finding]:
    """Reads first, removals last. At full size each operation that changes something finds the world untouched."""
    count = _FULL if bench.full else _SMALL
    wanted = [operation for operation in run.operations.values() if bench.wants(operation.module)]
    for methods in (("GET",), ("POST", "PUT", "PATCH"), ("DELETE",)):
        waiting = [operation for operation in wanted if operation.method in methods]
        while waiting:
            # What an operation did to others is no matter, as long as people can still log in.
            with world.copy():
                while waiting:
                    operation = waiting.pop(0)
                    yield from run.made_up(operation, count)
                    if operation.method != "GET" and (bench.full or not run.unharmed()):
                        break


def _operations(module: str, document: Document | None, world: World) -> Iterator[tuple[str, Operation]]:
    if document is None:
        return
    schema = schemathesis.openapi.from_dict(copy.deepcopy(document), config=SchemathesisConfig.from_dict(_CONFIG))
    schema.app = world.app
    for name, place in operation_places(document).items():
        method, path = place.split(" ")
        raw = document["paths"][path][method.lower()]
        yield name, Operation(module=module, place=place, schema=schema[path][method], raw=raw)


def _examples(operation: Any, count: int) -> list[Case[Any]]:
    cases: list[Case[Any]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(feedback=NO_FEEDBACK))
    def collect(case: Case[Any]) -> None:
        cases.append(case)

    try:
        collect()
    except Unsatisfiable:
        return []
    return cases


def _with_ids(body: Any, choices: Mapping[str, Iterator[Any]]) -> Any:
    if isinstance(body, dict):
        return {
            name: next(choices[name]) if name in choices and isinstance(value, int) else _with_ids(value, choices)
            for name, value in body.items()
        }
    return [_with_ids(each, choices) for each in body] if isinstance(body, list) else body


def _json(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _code(response: Response) -> str:
    body = _json(response)
    return f" ({body['code']})" if isinstance(body, dict) and "code" in body else ""
