"""The embedded PostgreSQL, tried on real servers: started, shared, killed, found again, refused with one sentence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no annotations
import pytest
from sqlalchemy import URL, NullPool, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from kernel.database.embedded import EmbeddedPostgres, EmbeddedPostgresError, cluster, harden, sharing
from kernel.database.embedded.reasons import explain

AS_ROOT = os.geteuid() == 0
USER = """
import sys
from pathlib import Path
from kernel.database.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("shared"), durable=False) as started:
        yield started


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a server that does not run."""
    path = tmp_path_factory.mktemp("traces")
    with embedded(path):
        pass
    return path


def run(url: URL, *statements: str) -> list[object]:
    """The first column of the last statement's rows."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        rows: list[object] = []
        for statement in statements:
            result = connection.execute(text(statement))
            rows = list(result.scalars()) if result.returns_rows else []
        return rows


def embedded(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, durable=False)


def pid_file(data_dir: Path) -> Path:
    (directory,) = data_dir.glob("postgres-*[0-9]")
    return directory / "postmaster.pid"


def postmaster(data_dir: Path) -> int:
    return int(pid_file(data_dir).read_text().split()[0])


def is_running(data_dir: Path) -> bool:
    return pid_file(data_dir).exists() and psutil.pid_exists(postmaster(data_dir))


def has_ended(pid: int) -> bool:
    """The pid file goes a moment before the process does, which stays a zombie where nobody collects orphans."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def leave_pid_files(data_dir: Path, pid: int) -> None:
    """What a crash leaves behind, when the process number is `pid` by now."""
    directory = pid_file(data_dir).parent
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        path = directory / name
        path.write_text(f"{pid}\n{directory}\n1700000000\n5432\n.\n\n  1 1\nready   \n")
        os.chown(path, directory.stat().st_uid, directory.stat().st_gid)


@contextmanager
def another_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server until its standard input is closed."""
    command = [sys.executable, "-c", USER, str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


class TestLifeOfAServer:
    def test_second_start_keeps_the_data(self, tmp_path: Path) -> None:
        with EmbeddedPostgres(tmp_path / "data") as first:
            run(first.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert not is_running(tmp_path / "data")
        with EmbeddedPostgres(tmp_path / "data") as second:
            assert run(second.admin_url, "SELECT answer FROM kept") == [42]
            assert run(second.admin_url, "SHOW fsync") == ["on"]

    def test_two_processes_share_one_server_and_the_last_one_stops_it(self, tmp_path: Path) -> None:
        with another_process(tmp_path) as other:
            ours = embedded(tmp_path)
            ours.start()
            pid = postmaster(tmp_path)
            other.communicate()
            assert run(ours.app_url, "SELECT 1") == [1]
            assert postmaster(tmp_path) == pid
            ours.stop()
            assert not is_running(tmp_path)

    def test_server_of_a_killed_process_is_adopted_and_really_stopped(self, tmp_path: Path) -> None:
        with another_process(tmp_path) as killed:
            pid = postmaster(tmp_path)
            killed.send_signal(signal.SIGKILL)
        assert psutil.pid_exists(pid)
        with embedded(tmp_path) as adopter:
            assert postmaster(tmp_path) == pid
            assert run(adopter.app_url, "SELECT 1") == [1]
        assert has_ended(pid)

    def test_server_stops_when_the_process_ends_without_stopping_it(self, tmp_path: Path) -> None:
        with another_process(tmp_path) as careless:
            pid = postmaster(tmp_path)
            careless.communicate()
            assert careless.returncode == 0
        assert has_ended(pid)

    def test_forked_child_neither_keeps_nor_stops_the_server(self, tmp_path: Path) -> None:
        server = embedded(tmp_path)
        server.start()
        end_of_child, ours = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            server.stop()
            os.read(end_of_child, 1)
            os._exit(0)
        assert run(server.app_url, "SELECT 1") == [1]
        server.stop()
        assert not is_running(tmp_path)
        os.close(ours)
        os.close(end_of_child)
        assert os.waitpid(child, 0) == (child, 0)

    def test_terminal_does_not_reach_the_server(self, server: EmbeddedPostgres) -> None:
        pid = postmaster(socket_dir(server).parent)
        assert os.getsid(pid) != os.getsid(0)
        assert os.getpgid(pid) != os.getpgid(0)

    def test_address_needs_a_start(self, tmp_path: Path) -> None:
        with pytest.raises(EmbeddedPostgresError, match="before it is started"):
            _ = embedded(tmp_path).app_url


class TestTraces:
    """What crashes leave behind. One data directory, damaged again and again."""

    def test_pid_of_a_dead_process_does_not_hinder(self, data_dir: Path) -> None:
        with subprocess.Popen(["true"]) as dead:
            pass
        leave_pid_files(data_dir, dead.pid)
        with embedded(data_dir) as server:
            assert run(server.app_url, "SELECT 1") == [1]
        assert not is_running(data_dir)

    def test_pid_that_another_process_has_now_does_not_hinder(self, data_dir: Path) -> None:
        owner = pid_file(data_dir).parent.stat().st_uid
        with subprocess.Popen(["sleep", "60"], user=owner if AS_ROOT else None) as bystander:
            leave_pid_files(data_dir, bystander.pid)
            with embedded(data_dir) as server:
                assert run(server.app_url, "SELECT 1") == [1]
            assert bystander.poll() is None
            bystander.kill()

    def test_empty_pid_file_does_not_hinder(self, data_dir: Path) -> None:
        pid_file(data_dir).touch()
        with embedded(data_dir) as server:
            assert run(server.app_url, "SELECT 1") == [1]

    def test_killed_server_is_started_again_for_the_next_user(self, data_dir: Path) -> None:
        with embedded(data_dir) as first:
            os.kill(pid := postmaster(data_dir), signal.SIGKILL)
            assert has_ended(pid)
            with embedded(data_dir) as second:
                assert run(second.app_url, "SELECT 1") == [1]
                assert run(first.app_url, "SELECT 1") == [1]
        assert not is_running(data_dir)

    def test_killed_server_is_revived_for_its_users(self, data_dir: Path) -> None:
        with embedded(data_dir) as server:
            assert not server.revive()
            os.kill(pid := postmaster(data_dir), signal.SIGKILL)
            assert has_ended(pid)
            assert server.revive()
            assert run(server.app_url, "SELECT 1") == [1]
        assert not server.revive()
        assert not is_running(data_dir)

    def test_deleted_data_is_not_made_anew_under_its_users(self, tmp_path: Path) -> None:
        with embedded(tmp_path / "data") as server:
            pid = postmaster(tmp_path / "data")
            shutil.rmtree(next((tmp_path / "data").glob("postgres-*/")))
            os.kill(pid, signal.SIGKILL)
            assert has_ended(pid)
            assert not server.revive()

    def test_long_log_is_cut_at_the_next_start(self, data_dir: Path) -> None:
        log = data_dir / "postgres.log"
        with log.open("ab") as file:
            file.truncate(cluster.MAX_LOG_BYTES + 1)
        with embedded(data_dir):
            assert log.stat().st_size < 10_000

    def test_interrupted_initdb_is_repeated(self, tmp_path: Path, data_dir: Path) -> None:
        half = tmp_path / f"{pid_file(data_dir).parent.name}.new"
        half.mkdir()
        (half / "PG_VERSION").write_text("18\n")
        with embedded(tmp_path) as server:
            assert run(server.app_url, "SELECT 1") == [1]
        assert not half.exists()


class TestPaths:
    @pytest.mark.parametrize("name", ["x" * 100, "a,b:c"], ids=["too long for a socket", "parts of an address"])
    def test_path_that_cannot_hold_the_socket_has_it_elsewhere(self, name: str, tmp_path: Path) -> None:
        with embedded(tmp_path / name) as server:
            assert run(server.app_url, "SELECT 1") == [1]
            place = socket_dir(server)
            assert not place.is_relative_to(tmp_path)
            assert place.stat().st_mode & 0o777 == 0o700
        assert not place.exists()

    def test_spaces_and_quotes_are_fine(self, tmp_path: Path) -> None:
        with embedded(tmp_path / "Tom's shop") as server:
            assert run(server.app_url, "SELECT 1") == [1]

    def test_environment_of_the_user_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "nowhere", "LC_ALL": "xx_XX"}.items():
            monkeypatch.setenv(name, value)
        with embedded(tmp_path) as server:
            assert run(server.app_url, "SELECT current_user") == ["emporium_app"]

    @pytest.mark.skipif(not AS_ROOT, reason="only root has to grant rights to the account that runs the server")
    def test_root_opens_no_more_than_the_way_to_the_data(self, tmp_path: Path) -> None:
        closed, suffices = tmp_path / "closed", tmp_path / "closed" / "suffices"
        closed.mkdir(mode=0o700)
        suffices.mkdir(mode=0o711)
        with embedded(suffices / "data"):
            assert psutil.Process(postmaster(suffices / "data")).uids().effective != 0
        assert closed.stat().st_mode & 0o777 == 0o701
        assert suffices.stat().st_mode & 0o777 == 0o711
        assert pid_file(suffices / "data").parent.stat().st_mode & 0o777 == 0o700


class TestLogins:
    def test_logins_can_no_more_than_they_need(self, server: EmbeddedPostgres) -> None:
        rows = run(
            server.admin_url,
            "SELECT concat_ws(' ', rolname, CASE WHEN rolcreaterole THEN 'creates roles' END) FROM pg_roles WHERE rolcanlogin"
            " AND NOT (rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls) ORDER BY 1",
        )
        assert rows == ["emporium_app", "emporium_migrator creates roles"]
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'emporium'"
        assert run(server.admin_url, owner) == ["emporium_migrator"]

    def test_application_waits_only_so_long(self, server: EmbeddedPostgres) -> None:
        for name, value in {"lock_timeout": "2s", "statement_timeout": "10s"}.items():
            assert run(server.app_url, f"SHOW {name}") == [value]
        assert run(server.app_url, "SHOW idle_in_transaction_session_timeout") == ["10s"]
        assert run(server.migration_url, "SHOW statement_timeout") == ["0"]

    def test_what_the_application_stores_is_not_logged_when_it_fails(self, server: EmbeddedPostgres) -> None:
        assert run(server.app_url, "SHOW log_min_error_statement") == ["panic"]

    def test_database_is_utf8_sorted_by_bytes_and_deaf_to_the_network(self, server: EmbeddedPostgres) -> None:
        form = "SELECT pg_encoding_to_char(encoding) || ' ' || datcollate FROM pg_database WHERE datname = 'emporium'"
        assert run(server.admin_url, form) == ["UTF8 C"]
        assert run(server.admin_url, "SHOW listen_addresses") == [""]

    def test_migrator_can_build_a_module(self, server: EmbeddedPostgres) -> None:
        run(
            server.migration_url,
            "CREATE ROLE toys",
            "CREATE ROLE toys_owner",
            "GRANT toys TO emporium_app WITH INHERIT FALSE, SET TRUE",
            "GRANT toys_owner TO CURRENT_USER WITH INHERIT TRUE, SET TRUE",
            "GRANT USAGE ON LANGUAGE plpgsql TO toys_owner",
            "CREATE SCHEMA toys AUTHORIZATION toys_owner",
            "GRANT USAGE ON SCHEMA toys TO toys",
            "ALTER DEFAULT PRIVILEGES FOR ROLE toys_owner IN SCHEMA toys GRANT SELECT ON TABLES TO toys",
            "SET ROLE toys_owner",
            "CREATE TABLE toys.ball AS SELECT 'red' AS colour",
            "CREATE FUNCTION toys.one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
        )
        assert run(server.app_url, "SET ROLE toys", "SELECT colour FROM toys.ball") == ["red"]
        with pytest.raises(DBAPIError, match="permission denied for schema toys"):
            run(server.app_url, "SELECT colour FROM toys.ball")

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT set_config('role', 'none', false)",
            "CREATE TEMPORARY TABLE mine (id int)",
            "DO 'BEGIN END'",
        ],
    )
    def test_application_cannot_leave_its_role(self, server: EmbeddedPostgres, statement: str) -> None:
        with pytest.raises(DBAPIError, match="permission denied"):
            run(server.app_url, statement)

    def test_copied_database_is_hardened_too(self, server: EmbeddedPostgres) -> None:
        run(server.admin_url, "CREATE DATABASE copied OWNER emporium_migrator")
        copied = server.url(user="emporium_app", database="copied")
        with pytest.raises(DBAPIError, match="permission denied"):
            run(copied, "DO 'BEGIN END'")
        for _ in range(2):
            harden(server.url(user="postgres", database="copied"))
        with pytest.raises(DBAPIError, match="permission denied to create temporary tables"):
            run(copied, "CREATE TEMPORARY TABLE mine (id int)")

    def test_tools_work_on_the_hardened_database(self, server: EmbeddedPostgres) -> None:
        inspector = inspect(create_engine(server.app_url, poolclass=NullPool))
        assert "information_schema" in inspector.get_schema_names()
        # Where the binaries are is the cluster's secret; no public name for it is needed but here.
        _, binaries = cluster._binaries()
        address = ["-h", str(socket_dir(server)), "-U", "emporium_migrator", "--schema=public", "emporium"]
        dump = subprocess.run([binaries / "pg_dump", *address], capture_output=True, text=True, check=True)
        assert "PostgreSQL database dump complete" in dump.stdout


class TestRefusals:
    def test_place_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for path in (tmp_path / "file", tmp_path / "file" / "below"):
            assert "is a file" in refusal(path)

    def test_data_of_another_major_version(self, tmp_path: Path) -> None:
        other = tmp_path / "postgres-12"
        other.mkdir()
        (other / "PG_VERSION").write_text("12\n")
        installed, _ = cluster._binaries()
        assert f"was made by PostgreSQL 12, and the installed one is {installed}" in refusal(tmp_path)
        other.rename(tmp_path / f"postgres-{installed}")
        assert f"was made by PostgreSQL 12, and the installed one is {installed}" in refusal(tmp_path)

    def test_damaged_data(self, tmp_path: Path) -> None:
        with embedded(tmp_path):
            pass
        control = pid_file(tmp_path).parent / "global" / "pg_control"
        control.write_bytes(b"\0" * control.stat().st_size)
        assert "is damaged" in refusal(tmp_path)
        shutil.rmtree(control.parent)
        assert "is damaged" in refusal(tmp_path)
        (control.parent.parent / "PG_VERSION").unlink()
        assert "is damaged (it has no file PG_VERSION)" in refusal(tmp_path)

    def test_lock_that_never_comes_free(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sharing, "LOCK_TIMEOUT", 0.2)
        with sharing.Users(tmp_path).exclusively():
            assert f"Another process (pid {os.getpid()}) has held" in refusal(tmp_path)

    def test_path_that_a_shell_would_change(self, tmp_path: Path) -> None:
        assert "because the path holds" in refusal(tmp_path / "$HOME")

    def test_start_that_takes_too_long(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with embedded(tmp_path):
            pid_of_server = postmaster(tmp_path)
            path = pid_file(tmp_path)
            ready = path.read_text()
            path.write_text(ready.replace("ready", "starting"))
            monkeypatch.setattr(cluster, "START_TIMEOUT", 0.2)
            assert "was not ready after 0 seconds (starting)" in refusal(tmp_path)
            path.write_text(ready)
            assert postmaster(tmp_path) == pid_of_server

    @pytest.mark.skipif(not AS_ROOT, reason="only root can mount a small disk to fill")
    def test_full_disk(self, tmp_path: Path) -> None:
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("this container may not mount a small disk to fill")
        try:
            assert "is full; free some space" in refusal(tmp_path)
            assert not list(tmp_path.glob("postgres-*")), "the half-made cluster is still there"
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            ("FATAL:  could not write to file: No space left on device", "is full"),
            ('FATAL:  could not create lock file "postmaster.pid": No space left on device', "is full"),
            ("FATAL:  could not create semaphores: No space left on device", "not enough (shared) memory"),
            ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "not enough (shared) memory"),
            ('FATAL:  could not open file "global/pg_filenode.map": Permission denied', "may not read and write"),
            ('FATAL:  data directory "/x" has wrong ownership', "may not read and write"),
            ("FATAL:  database files are incompatible with server", "is damaged (database files"),
            ("PANIC:  could not locate a valid checkpoint record at 0/0", "is damaged (could not locate a valid checkpoint"),
        ],
    )
    def test_reason_in_the_log_becomes_a_sentence(self, output: str, sentence: str) -> None:
        explained = explain(f"LOG:  starting\n2026-01-01 00:00:00.000 UTC [1] {output}\n", Path("/shop"))
        assert explained is not None
        assert sentence in explained
        assert "/shop" in explained

    def test_failed_start_leaves_no_server_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unwilling(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("kernel.database.embedded.server.provision", unwilling)
        with pytest.raises(KeyboardInterrupt):
            embedded(tmp_path).start()
        assert not is_running(tmp_path)


def refusal(data_dir: Path) -> str:
    """The one sentence that a start ends with."""
    with pytest.raises(EmbeddedPostgresError) as refused:
        embedded(data_dir).start()
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def socket_dir(server: EmbeddedPostgres) -> Path:
    return Path(str(server.app_url.query["host"]))
