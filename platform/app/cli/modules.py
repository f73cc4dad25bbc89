"""`emporium modules`: what this installation is made of. Starts no database."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from sqlalchemy import URL

from app.container import Built, build
from app.modules import installed, variables
from app.revisions import Revisions
from kernel.database.engines import Engines
from kernel.settings import load_settings


def show_modules() -> None:
    """List the modules: who to ask, what each needs, and how much of it there is."""
    # Engines connect when they are used, and listing uses none.
    engines = Engines(URL.create("postgresql+psycopg2", database="none"), threads=1, roles=None)
    heads = Revisions.of_this_code().heads
    table = Table("Module", "Owner", "What for", "Needs", "Routes", "Tables", "Revision", box=None, header_style="bold")
    for built in build(load_settings(known=variables()), engines, modules=installed()).modules:
        table.add_row(*_row(built, heads.get(built.module.name, "none")))
    # For a file or a pipe, wide enough that no row breaks.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _row(built: Built, head: str) -> list[str]:
    module = built.module
    routes = 0 if built.router is None else len(built.router.declarations)
    needs = ", ".join(module.needs) or "-"
    return [module.name, module.owner, module.summary, needs, str(routes), str(len(module.metadata.tables)), head]
