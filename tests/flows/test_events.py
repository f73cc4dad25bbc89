"""Events in the application: which listeners are wired, who runs the dispatcher, and what people can look at and do."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import containers, providers
from sqlalchemy import MetaData, NullPool, create_engine
from starlette.testclient import TestClient
from tests.database_fixtures import Clone
from tests.flows._shops import Shop, until
from tests.shop_fixtures import shop_settings
from typer.testing import CliRunner, Result

from app.application import create_app
from app.cli.events import events
from app.container import Parts, build
from app.modules import ModuleError
from kernel.database.engines import Engines
from kernel.module import Job, Module

LISTENERS = '''
"""What {name} hears."""
from dataclasses import dataclass
from typing import ClassVar
from kernel.pure.events import Event
from kernel.pure.listeners import DatabaseListener

@dataclass(frozen=True, kw_only=True)
class Called(Event):
    name: ClassVar[str] = "{event}"
    aggregate = "call"

def build_listeners(service):
    return [DatabaseListener(name="{listener}", event=Called, handle=service.append)]
'''
OUTBOX = "INSERT INTO kernel.outbox (name, aggregate, payload) VALUES ('catalog.Nothing', 'a', '{\"id\": 1}')"


def module(name: str, **options: Any) -> Module:
    container = type("Container", (containers.DeclarativeContainer,), {"service": providers.Singleton(list)})
    return Module(name=name, owner="T", summary="For tests.", container=container, metadata=MetaData(schema=name), **options)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a module's listeners; answers their import name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write_them(name: str, event: str = "shouter.Called", listener: str | None = None) -> str:
        folder = tmp_path / name
        folder.mkdir()
        code = LISTENERS.format(name=name, event=event, listener=listener or f"{name}.note")
        (folder / "listeners.py").write_text(code, encoding="utf-8")
        return f"{name}.listeners"

    return write_them


@pytest.fixture
def parts_of(database: Clone, engines: Engines) -> Callable[..., Parts]:
    return lambda *modules: build(shop_settings(database), engines, modules=modules)


Write = Callable[..., str]
PartsOf = Callable[..., Parts]


class TestWiring:
    def test_listeners_are_built_with_the_service_of_their_module(self, write: Write, parts_of: PartsOf) -> None:
        parts = parts_of(module("shouter"), module("hearer1", listens={"shouter": write("hearer1")}))
        (listener,) = parts.dispatcher.listeners
        assert listener.name == "hearer1.note"
        assert listener.handle == parts.services["hearer1"].append

    def test_without_its_publisher_a_listener_is_not_even_imported(self, parts_of: PartsOf) -> None:
        assert parts_of(module("hearer2", listens={"shouter": "hearer2.no_such_file"})).dispatcher.listeners == ()

    @pytest.mark.parametrize(
        ("name", "options", "refusal"),
        [
            ("hearer3", {"event": "other.Called"}, "does not list other"),
            ("hearer4", {"listener": "note"}, "must be named hearer4.<what it does>"),
        ],
    )
    def test_a_listener_that_does_not_fit_is_refused(
        self, write: Write, parts_of: PartsOf, name: str, options: dict[str, str], refusal: str
    ) -> None:
        with pytest.raises(ModuleError, match=refusal):
            parts_of(module("shouter"), module(name, listens={"shouter": write(name, **options)}))

    def test_listeners_are_a_file_of_the_module_itself(self, parts_of: PartsOf) -> None:
        with pytest.raises(ModuleError, match=r"lists shouter\.listeners in `listens`, which is not a file of its own"):
            parts_of(module("shouter"), module("hearer5", listens={"shouter": "shouter.listeners"}))

    def test_jobs_run_with_the_service_of_their_module(self, parts_of: PartsOf) -> None:
        job = Job(name="hearer.sweep", every=timedelta(seconds=5), run=lambda service: service.append(1))
        parts = parts_of(module("hearer", jobs=(job,)))
        names = ["hearer.sweep", "kernel.delete_old_keys", "kernel.delete_old_events"]
        assert [job.name for job in parts.dispatcher.jobs] == names
        assert parts.dispatcher.run_jobs() == len(names)
        assert parts.services["hearer"] == [1]

    def test_two_jobs_of_one_name_are_refused(self, parts_of: PartsOf) -> None:
        job = Job(name="hearer.sweep", every=timedelta(seconds=5), run=lambda _: None)
        with pytest.raises(ModuleError, match=r"two jobs named hearer\.sweep"):
            parts_of(module("hearer", jobs=(job, job)))


@pytest.fixture
def query(database: Clone) -> Callable[[str], Any]:
    engine = create_engine(database.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def run(sql: str) -> Any:
        with engine.connect() as connection:
            result = connection.exec_driver_sql(sql)
            return [tuple(row) for row in result] if result.returns_rows else None

    return run


Query = Callable[[str], Any]


@pytest.fixture
def emporium(database: Clone, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Starts a command of `emporium` on this test's database."""
    started: list[Shop] = []

    def start(*arguments: str, **variables: str) -> Shop:
        more = {**database.environment, "EMPORIUM_DATA_DIR": str(tmp_path), "EMPORIUM_THREADS": "2", **variables}
        started.append(Shop.start(*arguments, log=tmp_path / f"log{len(started)}", variables=more))
        return started[-1]

    yield start
    for shop in started:
        shop.kill()


class TestProcesses:
    def test_a_worker_delivers_until_it_is_told_to_stop(self, emporium: Callable[..., Shop], query: Query) -> None:
        query(OUTBOX)
        first, second = emporium("worker"), emporium("worker")
        until(lambda: "Delivering to" in first.said and "Delivering to" in second.said, "started")
        until(lambda: query("SELECT fanned_out_at FROM kernel.outbox") != [(None,)], "handed out")
        assert [worker.end(signal.SIGTERM) for worker in (first, second)] == [0, 0]

    def test_a_serving_process_delivers_as_well(self, emporium: Callable[..., Shop], query: Query) -> None:
        shop = emporium("serve", "--workers", "2").opened()
        query(OUTBOX)
        until(lambda: query("SELECT fanned_out_at FROM kernel.outbox") != [(None,)], "handed out")
        assert shop.end(signal.SIGTERM) == 0

    def test_unless_it_is_told_not_to(self, database: Clone, engines: Engines) -> None:
        app = create_app(shop_settings(database), engines=Engines(engines.url, threads=1, roles=engines.roles))
        with TestClient(app):
            assert app.state.runner is None


@pytest.fixture
def command(database: Clone) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(events, list(arguments), env=database.environment)

    return run


@pytest.fixture
def dead_letter(query: Query) -> Iterator[None]:
    for _ in range(2):
        query(OUTBOX)
    query(
        "INSERT INTO kernel.deliveries (outbox_id, listener, aggregate, status, attempts, next_attempt_at, last_error)"
        " VALUES (1, 'tests.count', 'a', 'dead', 12, now(), 'ValueError: [no] luck'),"
        " (1, 'tests.send', 'a', 'delivered', 1, now(), NULL), (2, 'tests.send', 'a', 'pending', 0, now(), NULL)"
    )
    query("UPDATE kernel.outbox SET fanned_out_at = now(), occurred_at = now() - interval '40 days'")
    yield
    # A table that is found empty keeps counting, and the next test would not begin at 1.
    query(OUTBOX)


Command = Callable[..., Result]


@pytest.mark.usefixtures("dead_letter")
class TestDeadLetters:
    def test_what_is_not_delivered_is_listed(self, command: Command) -> None:
        listed = command("list").output
        assert "tests.count" in listed
        assert "ValueError: [no] luck" in listed
        assert "1 pending, 0 leased, 1 dead." in listed
        assert "tests.send" not in command("list", "--dead").output

    def test_one_event_is_shown_with_all_its_deliveries(self, command: Command) -> None:
        shown = json.loads(command("show", "1").output)
        assert shown["payload"] == {"id": 1}
        assert [delivery["status"] for delivery in shown["deliveries"]] == ["dead", "delivered"]
        assert command("show", "77").exit_code == 1

    @pytest.mark.parametrize("chosen", [["1"], ["--listener", "tests.count"], ["--all"]])
    def test_resubmitting_gives_dead_letters_their_attempts_again_and_leaves_the_others(
        self, command: Command, query: Query, chosen: list[str]
    ) -> None:
        assert "1 dead letter will be tried again" in command("resubmit", *chosen).output
        rows = "SELECT listener, status, attempts FROM kernel.deliveries WHERE outbox_id = 1 ORDER BY 1"
        assert query(rows) == [("tests.count", "pending", 0), ("tests.send", "delivered", 1)]
        assert command("resubmit", *chosen).exit_code == 1

    def test_resubmitting_needs_a_choice(self, command: Command) -> None:
        assert command("resubmit").exit_code == 2

    @pytest.mark.parametrize(
        "arguments",
        [
            ["show", str(2**63)],
            ["resubmit", str(2**63)],
            ["resubmit", "--listener", "catalog.\udcff"],
            ["purge", "--days", "1000000"],
            ["list", "--limit", "0"],
        ],
    )
    def test_what_cannot_be_meant_is_a_mistake_in_the_command_line(self, command: Command, arguments: list[str]) -> None:
        assert command(*arguments).exit_code == 2

    def test_purging_deletes_what_is_old_and_done_with(self, command: Command, query: Query) -> None:
        assert "0 events deleted" in command("purge").output
        query("UPDATE kernel.deliveries SET status = 'delivered' WHERE outbox_id = 2")
        assert "0 events deleted" in command("purge", "--days", "50").output
        assert "1 event deleted" in command("purge").output
        assert query("SELECT id FROM kernel.outbox") == [(1,)]
        assert "1 event deleted" in command("purge", "--dead").output
        assert query("SELECT count(*) FROM kernel.deliveries") == [(0,)]

    def test_readyz_tells_of_them_and_stays_ready(self, database: Clone, engines: Engines) -> None:
        app = create_app(shop_settings(database), engines=Engines(engines.url, threads=1, roles=engines.roles))
        with TestClient(app) as client:
            ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"]["events"] == "1 dead letter (`emporium events list --dead`)"
