"""What the modules say of themselves, each alone and all together: their names, and who needs whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.wiring.places import description
from app.fitting import KERNEL_PARTS
from app.modules import Available, available
from kernel.module import Module

RULES: Final = {
    "module-name": "A module has one name, its folder's, and shares it with no other and no part of the kernel.",
    "missing-need": "Every need is a module of this installation, and no modules need each other in a circle.",
}
_TAKEN: Final = frozenset({"kernel", "app", *KERNEL_PARTS})


def faulty_names(bench: Bench) -> Iterator[Finding]:
    seen: set[str] = set()
    for each in available():
        name = each.name
        # A distribution that names another module than it says is refused when it is loaded.
        named = each.load().name if each.package == name else name
        if named != name:
            what = f"The module in the folder {name} is named {named}."
            yield _finding(
                bench, "module-name", name, what, f'Write name="{name}": it is import name, schema, branch and role in one.'
            )
        if name in _TAKEN:
            what = f"No module can be named {name}: containers know a part of the kernel by that name."
            yield _finding(bench, "module-name", name, what, "Give the module and its folder another name.")
        if name in seen:
            what = f"There are two modules named {name}: {_origin(each)}, too."
            yield _finding(bench, "module-name", name, what, "Rename one of them, or uninstall the distribution.")
        seen.add(name)


def usable() -> list[Module]:
    """The modules with names that can be told apart."""
    found: dict[str, Module] = {}
    for each in available():
        if each.name not in found and each.name not in _TAKEN and (module := each.load()).name == each.name:
            found[each.name] = module
    return list(found.values())


def faulty_needs(bench: Bench, modules: Sequence[Module]) -> Iterator[Finding]:
    names = {module.name for module in modules}
    for module in modules:
        for need in module.needs:
            if need not in names:
                what = f"{module.name} needs {need}, and there is no such module."
                yield _finding(
                    bench, "missing-need", module.name, what, f"Correct the name in `needs`, or install {need}.", "needs"
                )
    circle = sorted(module.name for module in _in_circles(modules))
    for name in circle:
        what = f"The modules {', '.join(circle)} need each other in a circle, so none can be built before the others."
        fix = "Take one of them out of the `needs` of another: what flows back up is an event."
        yield _finding(bench, "missing-need", name, what, fix, "needs")


def in_order(modules: Sequence[Module]) -> list[Module]:
    """Those whose needs are there, each after them."""
    ordered: list[Module] = []
    waiting = list(modules)
    while ready := [module for module in waiting if {*module.needs} <= {other.name for other in ordered}]:
        ordered += ready
        waiting = [module for module in waiting if module not in ready]
    return ordered


def _in_circles(modules: Sequence[Module]) -> list[Module]:
    """Those that need somebody who needs them, however far around."""
    needs = {module.name: {*module.needs} for module in modules}

    def reached(name: str) -> set[str]:
        found: set[str] = set()
        waiting = [*needs.get(name, ())]
        while waiting:
            if (next_ := waiting.pop()) not in found:
                found.add(next_)
                waiting += needs.get(next_, ())
        return found

    return [module for module in modules if module.name in reached(module.name)]


def _origin(each: Available) -> str:
    return (
        f"an installed distribution brings {each.package}"
        if each.package != each.name
        else "an installed distribution brings one"
    )


def _finding(bench: Bench, rule: str, name: str, what: str, fix: str, argument: str | None = None) -> Finding:
    where, line = description(bench, name, argument)
    return Finding(
        rule=f"wiring/{rule}", module=name if name in bench.facts else "app", where=where, line=line, what=what, fix=fix
    )
