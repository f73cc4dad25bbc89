"""Starting and stopping, as people and machines do it: one command, signals, crashes, and what is wrong told in a sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]  # has no annotations
import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from tests.database_fixtures import Clone
from tests.flows._shops import EMPORIUM, Shop, environment, free_port, server_of, until
from tests.migration_fixtures import ROOT

from kernel.database.embedded import EmbeddedPostgres

Start = Callable[..., Shop]


@pytest.fixture
def shops() -> Iterator[list[Shop]]:
    """The shops of a test; whatever is left of them at the end is ended."""
    started: list[Shop] = []
    yield started
    for shop in started:
        shop.kill()


@pytest.fixture
def start(shops: list[Shop], tmp_path: Path) -> Start:
    def start_one(*arguments: str, command: list[str] | None = None, **variables: str) -> Shop:
        shop = Shop.start(*arguments, log=tmp_path / f"log{len(shops)}", variables=variables, command=command)
        shops.append(shop)
        return shop

    return start_one


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Not pytest's: each run of pytest closes that to other accounts, and root's PostgreSQL runs as another one."""
    with TemporaryDirectory(prefix="emporium-start-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def furnished() -> Iterator[Path]:
    """The data of a shop that was opened once, and what it said then in the file `said`; copied by tests, never used."""
    with temporary_folder() as folder:
        shop = Shop.start("run", log=folder / "said", variables={"EMPORIUM_DATA_DIR": str(folder / "data")})
        try:
            shop.opened().end()
            yield folder
        finally:
            shop.kill()


@pytest.fixture
def data(furnished: Path, shops: list[Shop]) -> Iterator[Path]:
    """A furnished data directory of one's own, whose server is stopped at the end if the test left it running."""
    with temporary_folder() as folder:
        copy = folder / "data"
        shutil.copytree(furnished / "data", copy)
        yield copy
        # Before the server: it ends with its last user only.
        for shop in shops:
            shop.kill()
        if server_of(copy):
            with EmbeddedPostgres(copy):
                pass


@pytest.fixture
def served(database: Clone) -> dict[str, str]:
    return database.environment


def refusal(*arguments: str, **variables: str) -> str:
    """What a command says that cannot start; it has to end with exit code 1."""
    done = subprocess.run(
        [EMPORIUM, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


class TestRun:
    def test_an_empty_folder_becomes_an_open_shop(self, furnished: Path) -> None:
        said = (furnished / "said").read_text()

        assert "Emporium is open at http://127.0.0.1:" in said
        assert "/docs" in said
        assert re.search(r"psql 'postgresql://emporium_migrator@/emporium\?host=", said)
        assert re.search(r"Admin admin@example.com has the password \S+", said)
        assert "PostgreSQL is stopped; the data is kept." in said
        assert server_of(furnished / "data") is None

    def test_a_second_start_takes_seconds_keeps_the_data_and_tells_no_password(self, start: Start, data: Path) -> None:
        person = {"email": "ada@example.com", "password": "a long enough phrase"}
        first = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        assert first.get("/api/v1/users", data=person)[0] == 201
        first.end()

        began = time.monotonic()
        second = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        took = time.monotonic() - began

        assert second.get("/api/v1/users", data=person)[0] == 409
        assert took < 15
        assert "has the password" not in second.said

    def test_the_lines_to_paste_work_when_pasted(self, start: Start, data: Path) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        until(lambda: "Ctrl-C closes the shop." in shop.said, "it has said everything")
        lines = re.findall(r"^(?:curl|TOKEN=).*$", shop.said, re.MULTILINE)

        pasted = subprocess.run(["bash", "-c", "\necho\n".join(lines)], capture_output=True, text=True, timeout=30, check=True)

        products, order = [json.loads(line) for line in pasted.stdout.splitlines() if line]
        assert len(lines) == 3
        assert len(products["items"]) == 2
        assert order["status"] == "pending"

    @pytest.mark.parametrize(
        ("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)], ids=["INT", "TERM", "HUP"]
    )
    def test_a_signal_stops_everything_the_database_too(self, start: Start, data: Path, number: int, group: bool) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        assert server_of(data)

        code = shop.end(number, group=group)

        assert code == 0, shop.said
        assert server_of(data) is None

    def test_an_impatient_second_signal_leaves_no_database_behind(self, start: Start, data: Path) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        for _ in range(20):
            os.kill(shop.process.pid, signal.SIGINT)
            time.sleep(0.02)

        shop.process.wait(timeout=12)

        assert server_of(data) is None

    def test_a_signal_while_it_still_starts_leaves_no_database_behind(self, start: Start, data: Path) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data))
        until(lambda: server_of(data), "the server runs")

        shop.end()

        until(lambda: server_of(data) is None, "the server is gone")
        assert "Traceback" not in shop.said

    def test_a_shop_that_was_killed_opens_again(self, start: Start, data: Path) -> None:
        start("run", EMPORIUM_DATA_DIR=str(data)).opened().end(signal.SIGKILL)

        again = start("run", EMPORIUM_DATA_DIR=str(data)).opened()

        assert again.get("/api/v1/products")[0] == 200
        again.end()
        assert server_of(data) is None

    def test_a_server_that_was_killed_as_well_opens_again(self, start: Start, data: Path) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        server = psutil.Process(server_of(data))
        shop.end(signal.SIGKILL)
        server.kill()
        until(lambda: not server.is_running(), "the server is dead")

        again = start("run", EMPORIUM_DATA_DIR=str(data)).opened()

        assert again.get("/api/v1/products")[0] == 200

    def test_a_server_that_is_killed_runs_again_by_itself(self, start: Start, data: Path) -> None:
        shop = start("run", EMPORIUM_DATA_DIR=str(data)).opened()
        killed = psutil.Process(server_of(data))

        killed.kill()
        until(lambda: not killed.is_running(), "the server is dead")
        until(lambda: "The embedded PostgreSQL had died; it runs again." in shop.said, "told")

        assert shop.opened().get("/api/v1/products")[0] == 200
        assert shop.end() == 0
        assert server_of(data) is None


class TestRefusals:
    def test_a_taken_port_is_told_before_anything_starts(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            said = refusal("run", PORT=port, EMPORIUM_DATA_DIR=str(tmp_path / "data"))

        assert said.startswith(f"Port {port} on 127.0.0.1 is taken by another program")
        assert "PORT=" in said
        assert not list((tmp_path / "data").glob("postgres-*"))

    def test_a_broken_variable_is_told(self) -> None:
        assert refusal("run", EMPORIUM_THREADS="many").startswith("EMPORIUM_THREADS must be a whole number")

    def test_a_broken_env_file_is_told_with_its_line(self, start: Start, tmp_path: Path) -> None:
        house = tmp_path / "house"
        for name in ("modules", "platform"):
            shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ROOT / "pyproject.toml", house)
        (house / ".env").write_text("EMPORIUM_ENV=development\nthis is no setting\n")
        roots = os.pathsep.join(str(house / name) for name in ("modules", "platform"))

        shop = start("run", command=[sys.executable, "-c", "from app.cli.main import main; main()"], PYTHONPATH=roots)

        assert shop.process.wait(timeout=20) == 1
        assert shop.said.strip() == (
            f"{house}/.env has an error in line 2; it needs lines like EMPORIUM_ENV=development (see .env.example)."
        )

    def test_a_database_that_cannot_be_reached_is_told(self) -> None:
        nowhere = f"postgresql://shop:hidden-word@127.0.0.1:{free_port()}/shop"

        for command in ("run", "serve"):
            said = refusal(command, PORT=str(free_port()), DATABASE_URL=nowhere)
            assert "Connection refused" in said
            assert "hidden-word" not in said
            assert len(said.splitlines()) <= 2

    def test_a_database_that_is_not_migrated_is_not_served(self, postgres: EmbeddedPostgres) -> None:
        empty = postgres.url(user="postgres", database="template1").render_as_string(hide_password=False)

        said = refusal("serve", PORT=str(free_port()), DATABASE_URL=empty)

        assert "The database has not been migrated" in said
        assert said.endswith("run `emporium db upgrade` first.")

    def test_production_does_not_open_an_embedded_database(self) -> None:
        assert "DATABASE_URL" in refusal("run", EMPORIUM_ENV="production")

    def test_an_unknown_command_is_one_sentence(self) -> None:
        done = subprocess.run([EMPORIUM, "sell"], env=environment(), capture_output=True, text=True, check=False)

        assert done.returncode == 2
        assert done.stderr.strip() == "No such command 'sell'. Try `emporium --help`."


class TestServe:
    def test_a_started_request_is_answered_before_the_end(self, start: Start, served: dict[str, str], database: Clone) -> None:
        shop = start("serve", **served).opened()
        answers: list[int] = []
        engine = create_engine(database.superuser, poolclass=NullPool)
        with engine.begin() as blocking:
            blocking.execute(text("LOCK TABLE catalog.products IN ACCESS EXCLUSIVE MODE"))
            asking = threading.Thread(target=lambda: answers.append(shop.get("/api/v1/products")[0]))
            asking.start()
            waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = :name")
            # A transaction would see forever what it saw at its first look.
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
                until(lambda: looking.scalar(waiting, {"name": database.name}), "the request waits for the lock")
            os.kill(shop.process.pid, signal.SIGTERM)
            time.sleep(0.3)
        asking.join()

        assert answers == [200]
        assert shop.process.wait(timeout=10) == 0

    def test_a_client_that_never_ends_does_not_keep_it_open(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", **served).opened()
        with socket.create_connection(("127.0.0.1", shop.port)) as client:
            client.sendall(
                b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
            time.sleep(0.2)
            began = time.monotonic()
            code = shop.end(signal.SIGTERM)

        assert code == 0
        assert time.monotonic() - began < 10

    def test_each_worker_serves_and_one_that_dies_is_replaced(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", "--workers", "2", **served).opened()
        until(lambda: "2 workers" in shop.said, "both workers serve")
        first, second = psutil.Process(shop.process.pid).children()

        first.kill()

        children = psutil.Process(shop.process.pid).children
        until(lambda: len({child.pid for child in children() if child.status() != "zombie"} - {first.pid}) == 2, "a new one")
        assert second.is_running()
        until(shop.is_ready, "ready")
        assert shop.end(signal.SIGTERM) == 0
        assert not second.is_running()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux deals clients out")
    def test_clients_are_dealt_out_to_all_workers(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", "--workers", "2", **served).opened()
        until(lambda: "2 workers" in shop.said, "both workers serve")
        with ExitStack() as clients:
            for _ in range(32):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", shop.port)))
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                client.recv(1024)

            held = [
                sum(held.status == psutil.CONN_ESTABLISHED for held in worker.net_connections(kind="tcp"))
                for worker in psutil.Process(shop.process.pid).children()
            ]

        assert sum(held) == 32
        assert min(held) >= 4

    def test_workers_end_with_their_supervisor_however_it_ends(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", "--workers", "2", **served).opened()
        workers = psutil.Process(shop.process.pid).children()

        os.kill(shop.process.pid, signal.SIGKILL)
        shop.process.wait()

        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive

    def test_ctrl_c_in_the_terminal_ends_all_workers(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", "--workers", "2", **served).opened()
        workers = psutil.Process(shop.process.pid).children()

        assert shop.end(signal.SIGINT, group=True) == 0

        assert not [worker for worker in workers if worker.is_running()]
        assert "Traceback" not in shop.said

    def test_in_production_each_core_has_a_worker_of_its_own(self, start: Start, served: dict[str, str]) -> None:
        production = {"EMPORIUM_ENV": "production", "EMPORIUM_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"}
        cores = psutil.Process().cpu_affinity()

        shop = start("serve", **served, **production).opened()
        until(lambda: "Serving on" in shop.said, "all workers serve")

        assert sorted(worker.cpu_affinity() for worker in psutil.Process(shop.process.pid).children()) == [
            [core] for core in cores
        ]
        assert shop.end(signal.SIGTERM) == 0

    def test_logs_are_one_line_each(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", "--access-log", **served).opened()
        shop.get("/api/v1/products")
        shop.end(signal.SIGTERM)

        lines = shop.said.splitlines()
        asked = [line for line in lines if "/api/v1/products" in line]
        assert len(asked) == 1
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z INFO uvicorn.access \[[0-9a-f]{24}\] ", asked[0])

    def test_without_the_roles_it_serves_and_says_that_the_wall_is_off(self, start: Start, superuser_url: URL) -> None:
        plain = superuser_url.render_as_string(hide_password=False)

        shop = start("serve", DATABASE_URL=plain, DATABASE_ROLE_PREFIX="nobody").opened()

        assert shop.get("/readyz")[1]["checks"]["roles"].startswith("off: ")
        assert "The wall between the modules is off: these roles do not exist: nobody_kernel, " in shop.said

    def test_more_workers_than_the_server_lets_in_are_warned_of(self, start: Start, served: dict[str, str]) -> None:
        shop = start("serve", EMPORIUM_THREADS="64", EMPORIUM_WORKERS="2", **served).opened()

        assert "2 workers with 64 threads may open 266 connections" in shop.said
