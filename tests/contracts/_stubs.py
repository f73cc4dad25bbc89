"""Minimal files for the parts of the house that are not built yet, in the throw-away copy only. Goes when they are."""

from __future__ import annotations

from pathlib import Path

from tests.contracts._house import MODULES

_VOCABULARY = ("interface", "module", "container", "models", "crud", "service", "schemas", "router", "fakes")


def add_missing_files(house: Path) -> None:
    expected = [f"modules/{module}/{name}.py" for module in MODULES for name in _VOCABULARY]
    expected += ["platform/kernel/settings.py", "platform/kernel/module.py", "platform/app/application.py"]
    for file in expected:
        path = house / file
        if path.with_suffix("").is_dir():
            path = path.with_suffix("") / "__init__.py"
        if not path.exists():
            path.write_text('"""Stub."""\n', encoding="utf-8")
    driver = house / "platform/kernel/database/ownership.py"
    if not driver.exists():
        driver.write_text("import psycopg2\n", encoding="utf-8")
