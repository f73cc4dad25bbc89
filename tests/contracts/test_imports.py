"""Imports: what is allowed is not reported, and what keeps watch besides the gate (its violations: `planted_imports`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.planting import Append, Edit, Replace, contracts, copy_project

ROOT: Final = Path(__file__).resolve().parents[2]

ALLOWED: Final[list[tuple[str, str]]] = [
    # A file, and lines at its end.
    ("modules/catalog/listeners.py", "def late() -> None:\n    from ordering import interface as paid"),
    ("modules/ordering/service/extra.py", "import catalog.interface\nLINE = catalog.interface.StockLine"),
    ("modules/ordering/service/extra.py", "EVENT = 'ordering.order_paid'\nTABLE = 'catalog.products'"),
    (
        "modules/ordering/service/extra.py",
        'def documented() -> None:\n    """\n    from catalog.models import Product\n    """',
    ),
    ("modules/ordering/service/extra.py", "def own() -> None:\n    from ordering.crud import orders"),
    ("modules/ordering/service/extra.py", "def told(row, pair):\n    return row._mapping, pair._replace(a=1)._asdict()"),
    ("modules/ordering/service/extra.py", "class Own:\n    def __init__(self) -> None:\n        self._x = self.__dict__"),
    ("tests/ordering/test_extra.py", "def test_own(shop) -> None:\n    shop.app.state.parts.services['ordering']._gateway"),
    ("modules/users/settings.py", "from importlib.util import find_spec\nif find_spec('zxcvbn'):\n    STRICT = True"),
    (
        "modules/users/service/extra.py",
        "def patched(client: object, modules: dict) -> None:\n    client.patch('x.y')\n    modules['users']",
    ),
    ("platform/app/extra.py", "import importlib\ndef named(name: str) -> object:\n    return importlib.import_module(name)"),
    ("tests/ordering/test_extra.py", "from catalog.fakes import FakeCatalogService\nfrom catalog.interface import StockLine"),
    ("tests/ordering/test_extra.py", "def test_it(monkeypatch) -> None:\n    monkeypatch.setattr('ordering.service.x', 1)"),
    ("tests/ordering/test_extra.py", "SHOP = 'from app.cli.main import main; main()'"),
    ("tests/flows/test_extra.py", "import importlib\nimportlib.import_module('catalog.service')"),
    ("platform/kernel/http/extra.py", "MESSAGE = 'to import from catalog.service is not allowed'"),
]

BANNED: Final = {
    "import modules.catalog.interface": "`modules/` is a source root",
    "from modules.catalog.interface import Product": "`modules/` is a source root",
    "import platform.kernel": "`platform/` is a source root",
    "from platform.app import main": "`platform/` is a source root",
    "import importlib\nimportlib.import_module('catalog.service')": "import-linter cannot see it",
    "from importlib import import_module": "import-linter cannot see it",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "house")


def test_what_is_allowed_is_not_reported(house: Path) -> None:
    edits: list[Edit] = [Append(file=file, text=lines) for file, lines in ALLOWED]
    edits.append(Replace(file="modules/ordering/module.py", old='needs=("catalog",)', new='needs=("catalog", "users")'))
    edits.append(Append(file="modules/ordering/service/extra.py", text="from users.interface import UsersService"))
    for edit in edits:
        edit.make(house)

    said = contracts(house, "check", "--gate", "imports", "--static")

    assert said.code == 0, said.output


def test_a_platform_that_hides_pythons_own_is_named(house: Path) -> None:
    (house / "platform/__init__.py").touch()
    # As the installed command runs: with the source roots on its path, and not with the folder that they are in.
    roots = f"{house / 'modules'}:{house / 'platform'}"

    said = contracts(house, "check", "--gate", "imports", "--static", environment={"PYTHONPATH": roots, "PYTHONSAFEPATH": "1"})

    assert said.code == 1, said.output
    assert "platform/__init__.py  [imports/loose-file]" in said.output
    assert "Python would find it in place of its own `platform`" in said.output


@pytest.mark.parametrize("line", BANNED)
@pytest.mark.parametrize("file", ["modules/users/extra.py", "platform/kernel/extra.py", "tests/users/test_x.py"])
def test_ruff_refuses_imports_that_import_linter_cannot_see_while_they_are_written(
    tmp_path: Path, file: str, line: str
) -> None:
    code, output = ruff(tmp_path, file, line)

    assert code == 1, output
    assert "TID251" in output
    assert BANNED[line] in output


def test_the_composition_root_may_import_by_name(tmp_path: Path) -> None:
    _, output = ruff(tmp_path, "platform/app/by_name.py", "import importlib\nimportlib.import_module('catalog.listeners')")

    assert "TID251" not in output


def ruff(folder: Path, file: str, line: str) -> tuple[int, str]:
    """Exit code and output of ruff with our configuration on a file of this one line."""
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{line}\n", encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--output-format=concise", file]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
