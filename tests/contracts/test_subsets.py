"""Subsets of the modules: which are legal, what EMPORIUM_MODULES makes of them, and the full size of their check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from starlette.testclient import TestClient
from tests.database_fixtures import Clone
from tests.migration_fixtures import Alembic
from tests.planting import Append, Delete, contracts, copy_project
from tests.shop_fixtures import shop_settings

from app.application import create_app
from app.contracts.gates.wiring.subsets import legal_subsets, names_of
from app.migrations import branches, config
from app.modules import ModuleError, installed, variables
from app.revisions import Revisions

ROOT: Final = Path(__file__).resolve().parents[2]
On = Callable[[str], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> On:
    return lambda modules: monkeypatch.setenv("EMPORIUM_MODULES", modules)


def test_a_legal_subset_has_all_that_its_modules_need() -> None:
    a, b, c = (replace(installed()[0], name=name, needs=needs) for name, needs in [("a", ()), ("b", ("a",)), ("c", ())])

    assert [names_of(subset) for subset in legal_subsets([a, b, c])] == ["none", "a", "c", "a,b", "a,c", "a,c,b"]


class TestTheSetting:
    @pytest.mark.parametrize(
        ("value", "names"),
        [
            ("catalog", ["catalog"]),
            (" ordering , catalog,, ", ["catalog", "ordering"]),
            ("none", []),
            ("all", ["users", "catalog", "ordering"]),
            ("", ["users", "catalog", "ordering"]),
        ],
    )
    def test_names_the_modules_that_are_on(self, on: On, value: str, names: list[str]) -> None:
        on(value)

        assert [module.name for module in installed()] == names

    def test_a_name_that_nobody_bears_is_refused(self, on: On) -> None:
        on("catalog,oredring")

        with pytest.raises(ModuleError, match="EMPORIUM_MODULES names oredring, which is not installed; there are catalog, "):
            installed()

    def test_a_module_without_what_it_needs_is_refused(self, on: On) -> None:
        on("ordering")

        with pytest.raises(ModuleError, match="ordering needs catalog, which EMPORIUM_MODULES leaves out: add it there"):
            installed()

    def test_variables_of_modules_that_are_off_pass(self, on: On, monkeypatch: pytest.MonkeyPatch) -> None:
        on("users")
        monkeypatch.setenv("EMPORIUM_HOLD_MINUTES", "10")

        assert {"EMPORIUM_MODULES", "EMPORIUM_HOLD_MINUTES"} <= variables()

    def test_a_module_that_is_off_is_not_imported(self) -> None:
        code = "import sys, app.cli.root; from app.modules import installed; installed(); print('catalog' in sys.modules)"
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"{code}; print([name for name in sys.modules if name.split('.')[0] in ('users', 'ordering')])",
            ],
            cwd=ROOT,
            env={"EMPORIUM_MODULES": "catalog"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "True\n[]\n"

    def test_the_command_says_what_is_wrong_with_it_in_one_sentence(self) -> None:
        done = subprocess.run(
            [Path(sys.executable).with_name("emporium"), "modules"],
            env={"EMPORIUM_MODULES": "ordering"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "ordering needs catalog" in done.stderr


class TestOneDatabaseForSeveralSubsets:
    def test_each_migrates_its_own_branches_and_leaves_the_others_alone(self, alembic: Alembic, on: On) -> None:
        on("users")
        alembic.run("upgrade", "heads")
        users = alembic.reached()
        on("catalog")
        assert users - alembic.heads()

        alembic.run("upgrade", "heads")

        assert alembic.reached() == users | alembic.heads()
        alembic.run("check")
        alembic.run("downgrade", "catalog@base")
        assert alembic.reached() == users
        on("all")
        alembic.run("upgrade", "heads")
        assert alembic.reached() == alembic.heads()

    def test_what_a_newer_release_has_migrated_is_still_refused(self, alembic: Alembic, on: On) -> None:
        on("users")
        alembic.run("upgrade", "heads")
        alembic.sql("INSERT INTO kernel.alembic_version VALUES ('from_later')")

        with pytest.raises(Exception, match="from_later, which this code does not have"):
            alembic.run("upgrade", "heads")

    def test_branches_of_modules_that_are_off_are_not_taken_for_those_of_a_newer_release(self, on: On) -> None:
        heads = Revisions.of_this_code().heads
        on("users")
        known = Revisions.of_this_code()

        assert known.behind({*heads.values()}) == []
        assert known.behind({heads["kernel"], heads["catalog"], heads["ordering"]}) == ["users"]

    def test_a_subset_is_ready_on_its_own_branches_and_serves_nothing_else(self, empty_database: Clone) -> None:
        modules = [module for module in installed() if module.name == "catalog"]
        command.upgrade(config(empty_database.target, among=branches(modules)), "heads")

        with TestClient(create_app(shop_settings(empty_database), modules=modules)) as client:
            assert client.get("/readyz").status_code == 200
            assert {path.split("/")[3] for path in client.get("/openapi.json").json()["paths"] if "/v1/" in path} == {
                "products"
            }


@pytest.mark.prove
class TestFullSize:
    @pytest.fixture
    def house(self, tmp_path: Path) -> Path:
        """With few tests, so that each subset's take seconds."""
        house = copy_project(tmp_path / "house")
        for file in house.glob("tests/*/test_*.py"):
            if file.relative_to(house).parts[1] in {module.name for module in installed()}:
                Delete(file=file.relative_to(house).as_posix()).make(house)
        Append(file="tests/catalog/test_few.py", text="def test_it(shop) -> None: ...").make(house)
        return house

    def test_every_subset_serves_and_passes_its_tests_in_processes_of_its_own(
        self, house: Path, laboratory_environment: dict[str, str]
    ) -> None:
        said = contracts(house, "check", "--gate", "wiring", "--full", environment=laboratory_environment)

        assert said.code == 0, said.output

    def test_a_test_that_needs_a_neighbour_that_is_off_is_named(
        self, house: Path, laboratory_environment: dict[str, str]
    ) -> None:
        needing = "def test_it(shop) -> None:\n    assert shop.http.get('/api/v1/products').status_code == 200"
        Append(file="tests/users/test_planted.py", text=needing).make(house)

        said = contracts(house, "check", "--gate", "wiring", "--full", "--module", "users", environment=laboratory_environment)

        assert "tests/users/test_planted.py  [wiring/subset-tests]" in said.output
        assert "test_it fails when only users is on: " in said.output
        assert said.output.count("subset-tests]") == 1
        assert said.code == 1

    def test_an_import_of_a_module_that_is_off_is_named(self, house: Path, laboratory_environment: dict[str, str]) -> None:
        Append(file="modules/users/service/addresses.py", text="import catalog.interface").make(house)

        said = contracts(house, "check", "--gate", "wiring", "--full", "--module", "users", environment=laboratory_environment)

        assert "EMPORIUM_MODULES=users  [wiring/subset]" in said.output
        assert "the module catalog is off here, and something imports catalog" in said.output
