"""Building: each module is built as at start, on a database that nobody connects to."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL

from app.container import build
from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.wiring.places import Place, description, listeners, provider
from app.listening import JobError, ListenerError, jobs_of, listeners_of, require_distinct
from app.modules import ModuleError, with_needs
from kernel.database.engines import Engines
from kernel.module import Module
from kernel.settings import load_settings

RULES: Final = {
    "unbuildable": "The service and the router of every module can be built.",
    "listener": "A listener is the module's own by name and file, listed in `listens`, and the only one of its name.",
    "job": "A job is the module's own by name, and the only one of its name.",
}


def unbuildable(bench: Bench, modules: Sequence[Module], faulty: Collection[str]) -> Iterator[Finding]:
    """`modules` in order of needs. Of those that are faulty already, and of those that need them, there is nothing to say."""
    settings = load_settings(environ={"EMPORIUM_ENV": "test"}, env_file=bench.root / "no.env")
    engines = Engines(URL.create("postgresql+psycopg2", database="none"), threads=1, roles=None)
    failed = {*faulty}
    names = [module.name for module in modules]
    for module in modules:
        if module.name in failed or failed & {*module.needs}:
            failed.add(module.name)
            continue
        try:
            # Listeners and jobs are looked at below, those of each module by themselves.
            closure = [replace(each, jobs=(), listens={}) for each in with_needs([module.name], modules)]
            service = build(settings, engines, modules=closure).services[module.name]
        except Exception as error:  # whatever a constructor raises is what keeps the module from being built
            failed.add(module.name)
            yield _finding(bench, module, error)
            continue
        yield from _deliveries(bench, module, service, names)
    engines.close()


def _deliveries(bench: Bench, module: Module, service: Any, names: Collection[str]) -> Iterator[Finding]:
    """Listeners and jobs, which the dispatcher knows by their names."""
    looks: tuple[Callable[[], None], ...] = (
        lambda: require_distinct(listeners_of(module, service, names), []),
        lambda: require_distinct([], jobs_of(module, service)),
    )
    for look in looks:
        try:
            look()
        except Exception as error:  # as above
            yield _finding(bench, module, error)


def _finding(bench: Bench, module: Module, error: Exception) -> Finding:
    match error:
        case ListenerError():
            rule, place, fix = (
                "listener",
                listeners(bench, module),
                f"Mend it in the listeners of {module.name}, or in `listens`.",
            )
        case JobError():
            rule, place = "job", description(bench, module.name, "jobs")
            fix = f"Name it {module.name}.<what it does> in `jobs` of modules/{module.name}/module.py, as no other job is."
        case _:
            rule, place = "unbuildable", _place(bench, error) or provider(bench, module, "service")
            fix = "Mend what it says: `emporium modules` builds everything, too, and EMPORIUM_DEBUG=1 shows the traceback."
    sentence = str(error).strip().partition("\n")[0].rstrip(".")
    if not isinstance(error, ModuleError):
        sentence = f"The service or router of {module.name} cannot be made: {type(error).__name__}: {sentence}"
    return Finding(
        rule=f"wiring/{rule}",
        module=module.name if module.name in bench.facts else "app",
        where=place.where,
        line=place.line,
        what=f"{sentence}.",
        fix=fix,
    )


def _place(bench: Bench, error: Exception) -> Place | None:
    """The innermost line in a module's file."""
    frames = [
        Place(bench.shown(Path(frame.filename)), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(bench.root / "modules")
    ]
    return frames[-1] if frames else None
