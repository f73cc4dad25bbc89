"""Absence: modules that are installed here and must not be, for a process that finds out whether somebody misses them.

`python -c "from app.contracts.absence import run; run('ordering', ...)"`
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Absent(Loader):
    def exec_module(self, module: ModuleType) -> None:
        top = module.__name__.partition(".")[0]
        raise ModuleNotFoundError(
            f"the module {top} is off here, and something imports {module.__name__}", name=module.__name__
        )


class _Hiding(MetaPathFinder):
    """Packages can be found (their migrations are looked for), and not be imported."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: Sequence[str] | None, _: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None:
            spec.loader = _Absent()
        return spec


def run(absent: Sequence[str], main: Callable[[], object]) -> None:
    """Run `main` in this process without them."""
    sys.meta_path.insert(0, _Hiding(absent))
    main()
