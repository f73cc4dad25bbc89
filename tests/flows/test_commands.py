"""The commands of `emporium`: what the platform and the modules offer, each one call on services of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import typer
from dependency_injector import containers, providers
from sqlalchemy import MetaData
from tests.flows._shops import EMPORIUM, environment

from app.cli import commands
from app.cli.commands import Shop, add_module_commands
from app.cli.root import build_cli
from app.failures import told
from app.modules import installed
from kernel.database.call import RetryCall, current_call
from kernel.module import Module


def emporium(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [EMPORIUM, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done
    return done.stdout


class Service(containers.DeclarativeContainer):
    service = providers.Object("the service")


class OpenShop(Shop):
    """Services without a database."""

    def service(self, name: str) -> Any:
        return f"the service of {name}"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command of a module of its own."""

    def run_command(command: Callable[[Callable[[], Any]], None], *arguments: str) -> int:
        def build(get_service: Callable[[], Any]) -> typer.Typer:
            cli = typer.Typer()

            @cli.callback()
            def tests() -> None:
                """For tests."""

            @cli.command("do")
            def do(times: int = 1) -> None:
                """Do it."""
                for _ in range(times):
                    command(get_service)

            return cli

        module = Module(
            name="tests", owner="Tests", summary="For tests.", container=Service, metadata=MetaData(schema="tests"), cli=build
        )
        monkeypatch.setattr(commands, "installed", lambda: (module,))
        root = typer.Typer()
        root.callback()(lambda: None)
        add_module_commands(root, OpenShop())
        return told(lambda: typer.main.get_command(root).main(["tests", "do", *arguments], standalone_mode=False))

    return run_command


def test_a_command_gets_the_service_of_its_module(run: Callable[..., int]) -> None:
    seen: list[Any] = []

    assert run(lambda get_service: seen.append(get_service()), "--times", "2") == 0

    assert seen == ["the service of tests"] * 2


def test_a_command_is_one_call_and_run_again_when_it_lost_a_race(run: Callable[..., int]) -> None:
    calls: list[Any] = []

    def lose_once(_: Callable[[], Any]) -> None:
        calls.append(current_call())
        if len(calls) == 1:
            raise RetryCall

    assert run(lose_once) == 0

    assert len(calls) == 2
    assert calls[0] is not None
    assert calls[0] is calls[1]


def test_a_full_disk_is_told_in_one_sentence(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    def fill(_: Callable[[], Any]) -> None:
        raise OSError(28, "No space left on device", "/data/file")

    assert run(fill) == 1

    assert capsys.readouterr().err == "The disk is full (/data/file): free some space and start again.\n"


def test_a_mistake_of_ours_keeps_its_traceback(run: Callable[..., int]) -> None:
    def fail(_: Callable[[], Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail)


def test_debug_shows_the_traceback_of_any_failure(run: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_: Callable[[], Any]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("EMPORIUM_DEBUG", "1")

    with pytest.raises(OSError, match="No space left"):
        run(fill)


def test_a_module_adds_its_commands_on_the_configured_database(database_environment: dict[str, str]) -> None:
    said = emporium("users", "create-admin", "--email", "boss@example.com", "--generate", **database_environment)

    assert "boss@example.com" in said


def test_every_module_with_commands_is_offered() -> None:
    root = build_cli(OpenShop())
    names = {group.name for group in root.registered_groups}

    assert names == {"db", "events", "contracts", *(module.name for module in installed() if module.cli is not None)}


def test_modules_lists_what_is_installed_without_a_database(tmp_path: Any) -> None:
    said = emporium("modules", EMPORIUM_DATA_DIR=str(tmp_path))

    for module in installed():
        assert f"{module.name} " in said
        assert module.summary in said
    assert not list(tmp_path.glob("postgres*"))


def test_the_version_is_told() -> None:
    assert emporium("--version") == f"emporium {version('emporium')}\n"
