"""Fitting: whether a module's container asks for what the module needs and somebody supplies; each misfit with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kernel.database.principals import Principals
from kernel.database.unit_of_work import Database
from kernel.http.tokens import AccessTokens
from kernel.module import Module
from kernel.pure.clock import Clock
from kernel.pure.events import Events
from kernel.settings import Settings

KERNEL_PARTS: Final[Mapping[str, type]] = {
    "database": Database,
    "events": Events,
    "clock": Clock,
    "settings": Settings,
    "principals": Principals,
    "access_tokens": AccessTokens,
    "grantable_roles": frozenset,
}
"""What a module's container may ask for by name, besides the modules that it needs, and as what."""


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """`rule` is the one of the gate `wiring`; `what` and `remedy` are halves of a sentence."""

    rule: str
    what: str
    remedy: str
    provider: str | None = None
    """The container's, when it is about one."""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}."


def misfits(module: Module, installed: Collection[str]) -> Iterator[Misfit]:
    """What keeps the module from being built. `installed` names the modules that could be asked for."""
    asked = set(module.container.dependencies)
    undeclared = sorted(set(module.needs) - asked)
    if undeclared:
        yield Misfit(
            rule="unasked-need",
            what=f"The module {module.name} lists {', '.join(undeclared)} in `needs`, but its container does not ask for it",
            remedy="declare a providers.Dependency of that name, or take it out of `needs`",
        )
    for name in sorted(asked - KERNEL_PARTS.keys() - set(module.needs)):
        if name in installed:
            yield Misfit(
                rule="undeclared-need",
                what=f"The container of {module.name} asks for {name}, a module that it does not need",
                remedy="add it to `needs`",
                provider=name,
            )
        else:
            yield Misfit(
                rule="unbound-provider",
                what=f"The container of {module.name} asks for {name}, which nobody supplies",
                remedy=(
                    "take it out, or correct its name to that of a module in `needs` or to one of"
                    f" {', '.join(sorted(KERNEL_PARTS))}"
                ),
                provider=name,
            )
