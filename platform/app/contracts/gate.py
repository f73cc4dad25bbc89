"""Gates: a contract, the rules that make it up, and the functions that look for violations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from app.contracts.facts import Facts, read_facts
from app.contracts.finding import Finding
from app.contracts.syntax import Source, read_sources

if TYPE_CHECKING:
    from app.contracts.laboratory import Laboratory
    from kernel.module import Module


@dataclass(frozen=True)
class Bench:
    """What a gate works on. What costs time or can fail (importing the modules, a database) is made when it is asked for."""

    root: Path
    full: bool = False
    """Full sizes instead of small ones."""
    only: frozenset[str] = frozenset()
    """The modules that were asked for; empty: all. Gates may do less work for it; findings of others are left out anyway."""
    open_laboratory: Callable[[], Laboratory] | None = None

    @cached_property
    def facts(self) -> Mapping[str, Facts]:
        """What the built-in modules say of themselves, read without importing them; by name, sorted."""
        return read_facts(self.root)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Every file of the built-in modules and of the kernel, parsed. Errors: SyntaxError."""
        return read_sources(self.root, self.facts)

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The descriptions, imported; each after those that it needs. Raises ModuleError, or whatever an import raises."""
        from app.modules import installed  # the modules may not be importable

        return installed()

    @cached_property
    def laboratory(self) -> Laboratory:
        """Databases to try things on."""
        if self.open_laboratory is None:
            raise RuntimeError("Only the `live` function of a gate may ask for a database.")
        return self.open_laboratory()

    def wants(self, module: str) -> bool:
        return not self.only or module in self.only

    def shown(self, path: Path) -> str:
        """A path as findings name it."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()

    def module_of(self, where: str) -> str:
        """Whose file this is: a module's, the kernel's, else app's."""
        parts = where.split("/")
        if len(parts) > 1 and parts[0] in ("modules", "tests") and parts[1] in self.facts:
            return parts[1]
        return "kernel" if parts[:2] in (["platform", "kernel"], ["tests", "kernel"]) else "app"


Check = Callable[[Bench], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One way for modules to grow together, and what holds it shut."""

    name: str
    contract: str
    """What holds, in one sentence."""
    rules: Mapping[str, str]
    """Each kind of violation: name -> what has to be so, in one sentence. Each is planted by a test."""
    static: Check | None = None
    """Looks at the code alone, in seconds."""
    live: Check | None = None
    """Works on databases of its own."""
