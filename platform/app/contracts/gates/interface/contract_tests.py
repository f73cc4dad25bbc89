"""Contract tests: one file of tests asks the real service and the fake the same questions, about every method of a door."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.surface import methods, parameters

_LEFT_OUT: Final = ("skip", "skipif", "xfail", "prove")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Verdict:
    """What one file is worth as the contract test of a door."""

    file: Path
    line: int
    lacks: str
    """What it is not run against; empty when it is run against both."""
    untested: Sequence[str]

    @property
    def faults(self) -> int:
        return bool(self.lacks) + len(self.untested)


def contract_tests(bench: Bench, module: str, door: type, real: type | None, fake: type | None) -> Iterator[Finding]:
    """The best file counts; it has to be complete."""
    folder = bench.root / "tests" / module
    files = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.rglob("*.py"))}
    house = House(files)
    names = (real.__name__ if real else f"Database{door.__name__}", fake.__name__ if fake else f"Fake{door.__name__}")
    verdicts = [
        verdict
        for file, tree in files.items()
        if file.name.startswith("test_")
        for verdict in _verdicts(file, tree, house, door, names)
    ]
    fix = (
        f"Write tests/{module}/test_contract.py with a fixture `@pytest.fixture(params=[real, fake])`, where `real` makes a"
        f" {names[0]} and `fake` a {names[1]}, and give it to every test."
    )
    if not verdicts:
        yield _finding(module, f"tests/{module}", None, f"No test asks a {names[0]} and a {names[1]} the same questions.", fix)
        return
    best = min(verdicts, key=lambda verdict: (verdict.faults, verdict.file))
    where = bench.shown(best.file)
    if best.lacks:
        what = f"The contract test of {door.__name__} does not run against {best.lacks}."
        yield _finding(module, where, best.line, what, fix)
    for method in best.untested:
        what = f"The contract test of {door.__name__} never calls {method} with its arguments."
        fix = f"Write a test, with the fixture that gives both, that calls `{method}` and gives its arguments by name."
        yield _finding(module, where, best.line, what, fix)


def _finding(module: str, where: str, line: int | None, what: str, fix: str) -> Finding:
    return Finding(rule="interface/contract-test", module=module, where=where, line=line, what=what, fix=fix)


class House:
    """The tests of one module, and what their names stand for: helpers and fixtures may stand in other files."""

    def __init__(self, files: Mapping[Path, ast.Module]) -> None:
        self._scopes = {file: dict(_definitions(tree)) for file, tree in files.items()}
        self._imports = {file: dict(_imports(tree)) for file, tree in files.items()}
        self._fixtures = {
            name: (file, node)
            for file, scope in self._scopes.items()
            for name, node in scope.items()
            if isinstance(node, ast.FunctionDef) and _is_fixture(node)
        }

    def mentioned(self, file: Path, start: Sequence[ast.AST]) -> set[str]:
        """Names that stand in these nodes of the file, in what they name, and so on; each as it is called at home."""
        seen: set[str] = set()
        done: set[ast.AST] = set()
        waiting = [(file, node) for node in start]
        while waiting:
            here, node = waiting.pop()
            if node not in done:
                done.add(node)
                names, fixtures = _names(node), _fixtures(node)
                seen |= {self._imports[here].get(name, ("", name))[1] for name in names}
                waiting += [found for name in names if (found := self._defined(here, name)) is not None]
                waiting += [self._fixture(here, name) for name in fixtures if name in self._fixtures]
        return seen

    def _defined(self, file: Path, name: str) -> tuple[Path, ast.AST] | None:
        if name in self._scopes[file]:
            return file, self._scopes[file][name]
        module, original = self._imports[file].get(name, ("", name))
        for other, scope in self._scopes.items():
            if module.endswith(f"{other.parent.name}.{other.stem}") and original in scope:
                return other, scope[original]
        return None

    def _fixture(self, file: Path, name: str) -> tuple[Path, ast.AST]:
        """The nearest one: of the file itself, else the one that there is."""
        return (file, self._scopes[file][name]) if name in self._scopes[file] else self._fixtures[name]


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, (node.module or "", alias.name)) for alias in node.names)


def _names(within: ast.AST) -> set[str]:
    # Of a function not its decorators: those of a fixture name its params, the skipped ones too.
    parts = [*within.body, within.args] if isinstance(within, ast.FunctionDef) else [within]
    return {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}


def _fixtures(within: ast.AST) -> set[str]:
    """What a fixture asks for, by its arguments or by `getfixturevalue`."""
    found = _arguments(within) if isinstance(within, ast.FunctionDef) and _is_fixture(within) else set()
    for node in ast.walk(within):
        if isinstance(node, ast.Call) and _last(node.func) == "getfixturevalue":
            found |= {each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


def _verdicts(file: Path, tree: ast.Module, house: House, door: type, names: tuple[str, str]) -> Iterator[Verdict]:
    tests = Tests(tree)
    if tests.left_out:
        return
    for fixture in tests.fixtures.values():
        choices = _choices(fixture)
        if choices is None:
            continue
        lacking = [name for name in names if name not in house.mentioned(file, [fixture, *choices])]
        if len(lacking) == len(names):
            continue
        enough = len({ast.dump(choice) for choice in choices}) > 1
        called = list(tests.calls(fixture.name))
        yield Verdict(
            file=file,
            line=fixture.lineno,
            lacks=lacking[0] if lacking else "" if enough else f"both {names[0]} and {names[1]}",
            untested=[name for name, function in methods(door).items() if not _is_called(name, function, called)],
        )


def _choices(fixture: Definition) -> list[ast.expr] | None:
    """The params of a fixture that are not left out; None when it has none."""
    for decorator in fixture.decorator_list:
        if isinstance(decorator, ast.Call) and _last(decorator.func) == "fixture":
            for keyword in decorator.keywords:
                if keyword.arg == "params" and isinstance(keyword.value, (ast.List, ast.Tuple)):
                    return [_param(choice) for choice in keyword.value.elts if not _is_left_out([choice])]
    return None


def _param(choice: ast.expr) -> ast.expr:
    """What `pytest.param(…, id=…)` is about."""
    is_param = isinstance(choice, ast.Call) and _last(choice.func) == "param"
    return choice.args[0] if is_param and isinstance(choice, ast.Call) and choice.args else choice


@dataclass
class Tests:
    """The tests and fixtures of one file."""

    tree: ast.Module
    fixtures: dict[str, Definition] = field(default_factory=dict)
    tests: list[ast.FunctionDef] = field(default_factory=list)
    helpers: dict[str, list[Definition]] = field(default_factory=dict)
    left_out: bool = False
    """The whole file is, by `pytestmark`."""

    def __post_init__(self) -> None:
        self.left_out = _is_marked(self.tree.body)
        self._sort(self.tree.body, left_out=False)

    def _sort(self, body: Sequence[ast.stmt], *, left_out: bool) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                skipped = left_out or _is_left_out(node.decorator_list) or _is_marked(node.body)
                self._sort(node.body, left_out=skipped)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if _is_fixture(node):
                    self.fixtures[node.name] = node
                elif not node.name.startswith("test"):
                    self.helpers.setdefault(node.name, []).append(node)
                elif isinstance(node, ast.FunctionDef) and not left_out and not _is_left_out(node.decorator_list):
                    self.tests.append(node)

    def calls(self, fixture: str) -> Iterator[ast.Call]:
        """In tests that get the fixture, and in the helpers of the file that they use."""
        given = self._depending(fixture)
        waiting: list[ast.AST] = [test for test in self.tests if given & _arguments(test)]
        waiting += [self.fixtures[name] for name in given]
        seen: set[str] = set()
        while waiting:
            for node in ast.walk(waiting.pop()):
                if isinstance(node, ast.Call):
                    yield node
                    name = _last(node.func)
                    if name not in seen:
                        seen.add(name)
                        waiting += self.helpers.get(name, [])

    def _depending(self, fixture: str) -> set[str]:
        found = {fixture}
        while more := {name for name, node in self.fixtures.items() if found & _arguments(node)} - found:
            found |= more
        return found


def _is_called(name: str, function: FunctionType, calls: Iterable[ast.Call]) -> bool:
    """A call of this name that gives the method's own arguments by name: `get` is a method of dictionaries, too."""
    known = {parameter.name for parameter in parameters(function)}
    required = {parameter.name for parameter in parameters(function) if parameter.default is parameter.empty}
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == name and not call.args:
            given = {keyword.arg for keyword in call.keywords if keyword.arg}
            spread = any(keyword.arg is None for keyword in call.keywords)
            if given <= known and (spread or required <= given):
                return True
    return False


def _is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(_last(_called(decorator)) == "fixture" for decorator in node.decorator_list)


def _arguments(node: Definition) -> set[str]:
    """Of a test or fixture, those of `usefixtures` left out: they are not talked to."""
    return set() if isinstance(node, ast.ClassDef) else {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}


def _is_left_out(expressions: Iterable[ast.expr]) -> bool:
    """Marked, in any way, so that a normal run passes it by."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in _LEFT_OUT and _last(node.value) == "mark"
        for expression in expressions
        for node in ast.walk(expression)
    )


def _is_marked(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(_last(target) == "pytestmark" for target in node.targets)
        and _is_left_out([node.value])
        for node in body
    )


def _called(expression: ast.expr) -> ast.expr:
    return expression.func if isinstance(expression, ast.Call) else expression


def _last(expression: ast.expr) -> str:
    """`fixture` of `pytest.fixture`."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""
