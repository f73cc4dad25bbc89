"""Settings: what is read from where, and the sentence for each thing that can be wrong."""

from __future__ import annotations

import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from sqlalchemy import URL

from kernel.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "postgresql://shop:hush@db:5432/shop"
PARTS = {"DB_HOST": "db", "DB_USER": "shop", "DB_PASSWORD": "hush", "DB_NAME": "shop"}
PRODUCTION = {"EMPORIUM_ENV": "production", "EMPORIUM_SECRET_KEY": "0123456789abcdef" * 2, "DATABASE_URL": ADDRESS}
NO_FILE = Path("/nonexistent/.env")


def load(env_file: Path = NO_FILE, /, **environ: str) -> Settings:
    return load_settings(env_file=env_file, environ={"EMPORIUM_ENV": "test"} | environ)


def problems(env_file: Path = NO_FILE, /, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load(env_file, **environ)
    assert "hush" not in "".join(traceback.format_exception(refused.value))
    assert all("\n" not in problem for problem in refused.value.problems)
    return refused.value.problems


def problem(env_file: Path = NO_FILE, /, **environ: str) -> str:
    (only,) = problems(env_file, **environ)
    return only


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


class TestSources:
    def test_nothing_set_is_a_laptop_with_the_embedded_database(self, tmp_path: Path) -> None:
        settings = load_settings(env_file=NO_FILE, environ={"EMPORIUM_DATA_DIR": str(tmp_path)})
        assert (settings.environment, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
        assert settings.database_url is None
        assert settings.migration_url is None
        assert settings.limits
        assert not settings.debug

    def test_environment_goes_before_the_file_unless_it_is_blank(self, env_file: Path) -> None:
        env_file.write_text("export PORT=1000\nHOST='shop.example'\nEMPORIUM_CURRENCY=\n")
        settings = load(env_file, PORT="2000", HOST=" ", EMPORIUM_CURRENCY="EUR")
        assert (settings.port, settings.host, settings.currency) == (2000, "shop.example", "EUR")

    def test_values_of_the_file_are_taken_as_they_are(self, env_file: Path) -> None:
        env_file.write_text("EMPORIUM_ADMIN_PASSWORD='a${HOME}b # c'\n", encoding="utf-8-sig")
        password = load(env_file).admin_password
        assert password is not None
        assert password.get_secret_value() == "a${HOME}b # c"

    def test_import_reads_no_environment(self) -> None:
        nonsense = {"EMPORIUM_ENV": "nonsense", "PORT": "x", "DATABASE_URL": "x"}
        subprocess.run([sys.executable, "-c", "import kernel.settings"], check=True, env=nonsense)

    def test_relative_data_directory_starts_at_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert load(EMPORIUM_DATA_DIR="here").data_dir == tmp_path / "here"
        assert load().data_dir == ROOT / ".data"


class TestBrokenFile:
    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"PORT=1\nnot a line\n", "has an error in line 2"),
            (b"PORT='1\n", "has an error in line 1"),
            (b"PORT\n", "has an error in line 1"),
            (b"HOST=a\0b\n", "has an error in line 1"),
            ("PORT=1\n".encode("utf-16"), "is not a text file in UTF-8"),
        ],
    )
    def test_content_that_cannot_be_read_is_named(self, env_file: Path, content: bytes, what: str) -> None:
        env_file.write_bytes(content)
        assert problem(env_file).startswith(f"{env_file} {what}; it needs lines like EMPORIUM_ENV=development")

    def test_directory_and_unreadable_file_are_named(self, tmp_path: Path) -> None:
        assert "is a directory" in problem(tmp_path)
        loop = tmp_path / "loop"
        loop.symlink_to(loop)
        assert "cannot be read (Too many levels of symbolic links)" in problem(loop)


class TestDatabase:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_schemes_of_postgresql_become_ours(self, scheme: str) -> None:
        url = load(DATABASE_URL=f"{scheme}://shop:p%40%3A%2F@db/shop?sslmode=require").database_url
        expected = URL.create("postgresql+psycopg2", "shop", "p@:/", "db", None, "shop", {"sslmode": "require"})
        assert url == expected

    @pytest.mark.parametrize(
        ("address", "what"),
        [
            ("mysql://shop:hush@db/shop", "starts with mysql://"),
            ("sqlite:///hush.db", "starts with sqlite://"),
            ("postgresql+psycopg://shop:hush@db/shop", "starts with postgresql+psycopg://"),
            ("hush", "is not an address"),
            ("postgresql://shop:x@db:hush/shop", "is not an address"),
            ("postgresql://shop:x@hush@db/shop", "has an unreadable host or port"),
            ("postgresql://shop:x@hush/y@db/shop", "has an unreadable host or port"),
            ("postgresql://shop:hush@db:70000/shop", "has an unreadable host or port"),
            ("postgresql://shop:hush@db", "names no database"),
        ],
    )
    @pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_DIRECT_URL"])
    def test_other_addresses_are_refused_without_repeating_them(self, variable: str, address: str, what: str) -> None:
        sentence = problem(**{"DATABASE_URL": ADDRESS, variable: address})
        assert sentence.startswith(f"{variable} {what}")
        assert sentence.endswith(f", for example {variable}=postgresql://shop:secret@localhost:5432/shop.")

    def test_parts_take_any_password(self) -> None:
        url = load(**PARTS | {"DB_PASSWORD": " p@:/%#? "}).database_url
        assert url == URL.create("postgresql+psycopg2", "shop", " p@:/%#? ", "db", 5432, "shop")

    def test_parts_may_lead_to_a_socket(self) -> None:
        url = load(**PARTS | {"DB_HOST": "/run/postgresql", "DB_PORT": "6432"}).database_url
        assert url is not None
        _, arguments = url.get_dialect()().create_connect_args(url)
        assert (arguments["host"], arguments["port"]) == ("/run/postgresql", "6432")

    @pytest.mark.parametrize("missing", PARTS)
    def test_half_set_parts_name_what_is_missing(self, missing: str) -> None:
        environ = {name: value for name, value in PARTS.items() if name != missing}
        assert problem(**environ).startswith(f"{missing} is missing beside")
        assert problem(**environ, **{missing: " "}).startswith(f"{missing} is missing beside")

    def test_address_goes_before_parts(self) -> None:
        assert load(DATABASE_URL=ADDRESS, DB_HOST="elsewhere").database_url == load(**PARTS).database_url

    @pytest.mark.parametrize("port", ["0", "70000", "x", "²", "1" * 5000])
    def test_port_among_the_parts_is_checked(self, port: str) -> None:
        assert problem(**PARTS, DB_PORT=port).startswith("DB_PORT must be a whole number from 1 to 65535 (it is ")

    def test_other_addresses_fall_back(self) -> None:
        settings = load(DATABASE_URL=ADDRESS)
        assert settings.migration_url == settings.direct_url == settings.database_url
        settings = load(DATABASE_URL=ADDRESS, DATABASE_DIRECT_URL=ADDRESS.replace("5432", "5433"))
        assert settings.migration_url == settings.direct_url != settings.database_url
        settings = load(DATABASE_URL=ADDRESS, DATABASE_MIGRATION_URL=ADDRESS.replace("shop:", "migrator:"))
        assert settings.migration_url != settings.direct_url == settings.database_url

    def test_other_address_alone_is_half_a_configuration(self) -> None:
        assert problem(DATABASE_MIGRATION_URL=ADDRESS).startswith("DATABASE_URL is missing beside DATABASE_MIGRATION_URL")


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("EMPORIUM_ENV", "prod"),
            ("EMPORIUM_CURRENCY", "£"),
            ("EMPORIUM_LIMITS", "maybe"),
            ("EMPORIUM_DEBUG", "2"),
            ("EMPORIUM_THREADS", "0"),
            ("EMPORIUM_WORKERS", "many"),
            ("PORT", "65536"),
            ("EMPORIUM_ADMIN_EMAIL", "admin"),
            ("DATABASE_ROLE_PREFIX", 'x"; DROP'),
        ],
    )
    def test_value_out_of_range_is_named_with_an_example(self, variable: str, value: str) -> None:
        sentence = problem(**{variable: value})
        assert sentence.startswith(f"{variable} must be ")
        assert repr(value) in sentence
        assert f", for example {variable}=" in sentence

    def test_all_problems_are_told_at_once(self) -> None:
        told = problems(PORT="x", EMPORIUM_THREADS="x", DB_HOST="db", EMPORIUM_COLOUR="red")
        assert [sentence.split()[0].strip(",") for sentence in told] == [
            "EMPORIUM_COLOUR",
            "DB_USER",
            "EMPORIUM_THREADS",
            "PORT",
        ]

    def test_unknown_variable_is_refused_with_the_likely_name(self, env_file: Path) -> None:
        assert "did you mean EMPORIUM_THREADS, for example EMPORIUM_THREADS=8?" in problem(EMPORIUM_THREAD="4")
        env_file.write_text("EMPORIUM_ZZZ=1\nOTHER=1\n")
        assert problem(env_file) == "EMPORIUM_ZZZ is not a variable of Emporium; see .env.example."

    def test_variables_of_modules_are_not_unknown(self) -> None:
        load_settings(env_file=NO_FILE, environ={"EMPORIUM_ENV": "test", "EMPORIUM_GIFTS": "1"}, known={"EMPORIUM_GIFTS"})

    def test_secrets_are_not_shown(self) -> None:
        settings = load(
            EMPORIUM_SECRET_KEY="hush" * 8,
            EMPORIUM_ADMIN_PASSWORD="hush",
            DATABASE_URL=ADDRESS,
            DATABASE_DIRECT_URL="postgresql://shop@db/shop?password=hush",
        )
        assert "hush" not in f"{settings!r} {settings} {settings.direct_url} {settings.model_dump()}"
        assert settings.direct_url is not None
        assert settings.direct_url.password == "hush"


class TestSecretKey:
    def test_short_secret_is_refused_anywhere(self) -> None:
        assert problem(EMPORIUM_SECRET_KEY="hush").startswith("EMPORIUM_SECRET_KEY has 4 bytes; it must have 32 or more")
        assert load(EMPORIUM_SECRET_KEY="é" * 16).secret_key.get_secret_value() == "é" * 16

    def test_development_makes_one_and_keeps_it_private(self, tmp_path: Path) -> None:
        environ = {"EMPORIUM_DATA_DIR": str(tmp_path / "data")}
        first, second = (load_settings(env_file=NO_FILE, environ=environ).secret_key for _ in range(2))
        assert first == second
        assert len(first.get_secret_value()) >= 32
        (kept,) = (tmp_path / "data").iterdir()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    def test_tests_have_a_new_one_each_time_and_write_nothing(self, tmp_path: Path) -> None:
        assert load(EMPORIUM_DATA_DIR=str(tmp_path)).secret_key != load(EMPORIUM_DATA_DIR=str(tmp_path)).secret_key
        assert not list(tmp_path.iterdir())

    def test_kept_secret_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        kept = tmp_path / "secret_key"
        environ = {"EMPORIUM_ENV": "development", "EMPORIUM_DATA_DIR": str(tmp_path)}
        kept.write_text("short")
        assert f"EMPORIUM_SECRET_KEY is not set and {kept} holds less than 32 bytes" in problem(**environ)
        kept.write_bytes(b"\xff" * 40)
        assert "cannot be read" in problem(**environ)
        assert "cannot be written (Not a directory)" in problem(**environ | {"EMPORIUM_DATA_DIR": str(kept / "below")})


class TestProduction:
    def test_complete_production_is_accepted(self) -> None:
        assert load(**PRODUCTION).in_production
        parts = {name: value for name, value in PRODUCTION.items() if name != "DATABASE_URL"} | PARTS
        assert load(**parts).database_url == load(**PRODUCTION).database_url

    def test_everything_unfit_is_named_at_once(self) -> None:
        told = problems(EMPORIUM_ENV="production", EMPORIUM_DEBUG="on", EMPORIUM_LIMITS="off")
        assert [sentence.split()[0] for sentence in told] == [
            "DATABASE_URL",
            "EMPORIUM_SECRET_KEY",
            "EMPORIUM_DEBUG",
            "EMPORIUM_LIMITS",
        ]

    @pytest.mark.parametrize("secret", ["change-me-to-what-openssl-rand-hex-32-prints", "a" * 32])
    def test_example_secret_is_refused(self, secret: str) -> None:
        assert "is the example or easy to guess" in problem(**PRODUCTION | {"EMPORIUM_SECRET_KEY": secret})

    def test_each_fault_is_told_once(self) -> None:
        told = problems(EMPORIUM_ENV="production", EMPORIUM_SECRET_KEY="short", DB_HOST="db")
        assert [sentence.split()[0] for sentence in told] == ["DB_USER,", "EMPORIUM_SECRET_KEY"]
