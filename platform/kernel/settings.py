"""Settings: every variable that the platform understands, from the environment and `.env`, and how each is refused."""

from __future__ import annotations

import difflib
import io
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from kernel.pure.faults import VARIABLES as FAULT_VARIABLES

DRIVER = "postgresql+psycopg2"
MIN_SECRET_BYTES = 32
_PREFIX = "EMPORIUM_"
_SCHEMES = ("postgres", "postgresql", DRIVER)
_PARTS = {"DB_HOST": "localhost", "DB_USER": "shop", "DB_PASSWORD": "any@:/characters", "DB_NAME": "shop"}
_EXACT = frozenset({"DB_PASSWORD", "EMPORIUM_SECRET_KEY", "EMPORIUM_ADMIN_PASSWORD"})
"""Variables whose spaces at the ends may be meant."""
_CONFIDENTIAL = _EXACT | {"DATABASE_URL", "DATABASE_MIGRATION_URL", "DATABASE_DIRECT_URL"}
_URL_EXAMPLE = "postgresql://shop:secret@localhost:5432/shop"
_SECRET_EXAMPLE = "$(openssl rand -hex 32)"  # noqa: S105 - a command, not a secret


class SettingsError(Exception):
    """The settings cannot be used; `problems` holds one sentence each: the variable, what is wrong, an example."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def parse_database_url(value: str | URL) -> URL:
    """The address with our driver's name. Its errors never repeat the text: it may hold a password."""
    if isinstance(value, URL):
        return value
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise _address("is not an address that can be read; write special characters as %40 (@), %3A (:), %2F (/)") from None
    if url.drivername not in _SCHEMES:
        raise _address(f"starts with {url.drivername}://, and only PostgreSQL's {', '.join(_SCHEMES)} will do")
    if "@" in f"{url.host}{url.database}" or (url.port is not None and not 0 < url.port < 2**16):
        raise _address("has an unreadable host or port; write @ in a password as %40, or use DB_PASSWORD")
    if not url.database:
        raise _address("names no database")
    if isinstance(password := url.query.get("password"), str):
        # As a part of its own it is hidden when the address is shown.
        url = url.set(password=password).difference_update_query(["password"])
    return url.set(drivername=DRIVER)


def _address(what: str) -> PydanticCustomError:
    return PydanticCustomError("database_url", "{what}", {"what": what})


def _long_enough(secret: SecretStr) -> SecretStr:
    size = len(secret.get_secret_value().encode(errors="replace"))
    if size < MIN_SECRET_BYTES:
        raise PydanticCustomError("secret", "has {size} bytes; it must have 32 or more", {"size": size})
    return secret


def _variable(name: str, rule: str, example: str, default: object = None, **more: Any) -> Any:
    if "default_factory" not in more:
        more["default"] = default
    return Field(validation_alias=name, description=rule, examples=[example], **more)


# Shown without its password: a dump would spell out the parts.
_DatabaseUrl = Annotated[URL, BeforeValidator(parse_database_url), PlainSerializer(str)]
_Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
_Directory = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class Settings(BaseSettings):
    """What `load_settings` read. Nothing here looks at the environment by itself.

    `database_url` is None when the embedded PostgreSQL is to be used; the two other addresses fall back to it.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        validate_by_name=True,
        validate_default=False,
    )

    environment: Literal["development", "test", "production"] = _variable(
        "EMPORIUM_ENV", "must be development, test or production", "production", "development"
    )
    currency: str = _variable(
        "EMPORIUM_CURRENCY", "must be three capital letters (ISO 4217)", "EUR", "GBP", pattern="^[A-Z]{3}$"
    )
    secret_key: _Secret = _variable("EMPORIUM_SECRET_KEY", "must have 32 bytes or more", _SECRET_EXAMPLE, SecretStr(""))
    limits: bool = _variable("EMPORIUM_LIMITS", "must be on or off", "on", True)
    debug: bool = _variable("EMPORIUM_DEBUG", "must be on or off", "off", False)
    dispatcher: bool = _variable("EMPORIUM_DISPATCHER", "must be on or off", "off", True)
    keep_keys_hours: int = _variable(
        "EMPORIUM_KEEP_KEYS_HOURS", "must be whole hours from 24 to 8760 (a year)", "24", 24, ge=24, le=8760
    )
    keep_events_days: int = _variable("EMPORIUM_KEEP_EVENTS_DAYS", "must be whole days from 1 to 3650", "30", 30, ge=1, le=3650)
    threads: int = _variable("EMPORIUM_THREADS", "must be a whole number from 1 to 64", "8", 8, ge=1, le=64)
    workers: int | None = _variable("EMPORIUM_WORKERS", "must be a whole number from 1 to 256", "2", ge=1, le=256)
    host: str = _variable("HOST", "must be a name or an address to listen on", "0.0.0.0", "127.0.0.1")  # noqa: S104
    port: int = _variable("PORT", "must be a whole number from 0 to 65535", "8000", 8000, ge=0, le=65535)
    admin_email: str | None = _variable(
        "EMPORIUM_ADMIN_EMAIL", "must be an e-mail address", "admin@example.com", pattern=r"^[^@\s]+@[^@\s]+$", max_length=254
    )
    admin_password: SecretStr | None = _variable("EMPORIUM_ADMIN_PASSWORD", "must be a password", "a-long-phrase")
    data_dir: _Directory = _variable(
        "EMPORIUM_DATA_DIR", "must be a directory", ".data", default_factory=lambda: _home() / ".data"
    )
    database_url: _DatabaseUrl | None = _variable("DATABASE_URL", "must be an address", _URL_EXAMPLE)
    migration_url: _DatabaseUrl | None = _variable("DATABASE_MIGRATION_URL", "must be an address", _URL_EXAMPLE)
    direct_url: _DatabaseUrl | None = _variable("DATABASE_DIRECT_URL", "must be an address", _URL_EXAMPLE)
    role_prefix: str | None = _variable(
        "DATABASE_ROLE_PREFIX",
        "must be a small letter, then up to 39 small letters, digits and _",
        "shop",
        pattern="^[a-z][a-z0-9_]{0,39}$",
    )

    @property
    def in_production(self) -> bool:
        return self.environment == "production"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load_settings` reads the sources: pydantic's own reader passes over lines of `.env` that it cannot read.
        return (init_settings,)


_FIELDS = {str(field.validation_alias): field for field in Settings.model_fields.values()}
VARIABLES = frozenset({*_FIELDS, *_PARTS, "DB_PORT"})


def load_settings(
    *, env_file: Path | None = None, environ: Mapping[str, str] | None = None, known: Collection[str] = ()
) -> Settings:
    """Read and check all settings; `SettingsError` lists every problem at once.

    The environment goes before `.env` (default: next to pyproject.toml). `known` names the EMPORIUM_* variables that modules
    read themselves: any other one that is not ours is refused as a typo.
    """
    values = read_variables(env_file=env_file, environ=environ)
    problems = _unknown(values, VARIABLES.union(known, FAULT_VARIABLES))
    given: dict[str, Any] = {name: value for name, value in values.items() if name in _FIELDS}
    if "DATABASE_URL" not in given:
        given["DATABASE_URL"] = _from_parts(values, problems)
    broken = {"DATABASE_URL"} if any(part.startswith("DB_") for part in problems) else set()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        details = error.errors(include_context=False)
        problems += [_sentence(detail, values) for detail in details]
        broken |= {str(detail["loc"][0]) for detail in details}
        settings = Settings(**{name: value for name, value in given.items() if name not in broken})
    refusals = _half_configured(settings) | (_unfit_for_production(settings) if settings.in_production else {})
    problems += [sentence for name, sentence in refusals.items() if name not in broken]
    if problems:
        raise SettingsError(problems)
    return _completed(settings)


def read_variables(*, env_file: Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that are set, the environment's before those of `.env`; a blank one is not set."""
    given = [*_read_env_file(env_file or _home() / ".env").items(), *(os.environ if environ is None else environ).items()]
    return {name: value if name in _EXACT else value.strip() for name, value in given if value.strip()}


def _home() -> Path:
    """The checkout that we run from; the working directory when we were installed as a package."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def _read_env_file(path: Path) -> dict[str, str]:
    def broken(what: str) -> SettingsError:
        return SettingsError([f"{path} {what}; it needs lines like EMPORIUM_ENV=development (see .env.example)."])

    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise broken("is not a text file in UTF-8") from None
    except IsADirectoryError:
        raise broken("is a directory, where a text file is expected") from None
    except OSError as error:
        raise broken(f"cannot be read ({error.strerror})") from None
    values = {}
    for line in parse_stream(io.StringIO(content)):
        if line.error or (line.key and line.value is None) or "\0" in line.original.string:
            raise broken(f"has an error in line {line.original.line}")
        if line.key and line.value is not None:
            values[line.key] = line.value
    return values


def _unknown(values: Mapping[str, str], known: Collection[str]) -> list[str]:
    problems = []
    ours = {name.removeprefix(_PREFIX): name for name in known if name.startswith(_PREFIX)}
    for name in sorted(name for name in values if name.startswith(_PREFIX) and name not in known):
        close = [ours[match] for match in difflib.get_close_matches(name.removeprefix(_PREFIX), ours, n=1)]
        hint = f"did you mean {close[0]}, for example {close[0]}={_example(close[0])}?" if close else "see .env.example."
        problems.append(f"{name} is not a variable of Emporium; {hint}")
    return problems


def _from_parts(values: Mapping[str, str], problems: list[str]) -> URL | None:
    given = {name: values[name] for name in (*_PARTS, "DB_PORT") if name in values}
    if not given:
        return None
    missing = [name for name in _PARTS if name not in given]
    if missing:
        example = " ".join(f"{name}={_PARTS[name]}" for name in missing)
        verb = "is" if len(missing) == 1 else "are"
        problems.append(f"{', '.join(missing)} {verb} missing beside {', '.join(given)}, for example {example}.")
        return None
    port = given.get("DB_PORT", "5432")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        problems.append(f"DB_PORT must be a whole number from 1 to 65535 (it is {port[:40]!r}), for example DB_PORT=5432.")
        return None
    host = given["DB_HOST"]
    url = URL.create(DRIVER, given["DB_USER"], given["DB_PASSWORD"], host, int(port), given["DB_NAME"])
    # A directory is that of a unix socket, and has no place between @ and : of an address.
    return url.set(host="", port=None).update_query_dict({"host": host, "port": port}) if host.startswith("/") else url


def _sentence(detail: ErrorDetails, values: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    what = str(_FIELDS[name].description)
    if detail["type"] in ("database_url", "secret"):
        what = detail["msg"]
    elif name not in _CONFIDENTIAL:
        what += f" (it is {values[name][:40]!r})"
    return f"{name} {what}, for example {name}={_example(name)}."


def _example(name: str) -> str:
    field = _FIELDS.get(name)
    return str(field.examples[0]) if field and field.examples else "..."


def _half_configured(settings: Settings) -> dict[str, str]:
    extra = {"DATABASE_MIGRATION_URL": settings.migration_url, "DATABASE_DIRECT_URL": settings.direct_url}
    if settings.database_url or not any(extra.values()):
        return {}
    names = ", ".join(name for name, url in extra.items() if url)
    return {"DATABASE_URL": f"DATABASE_URL is missing beside {names}, for example DATABASE_URL={_URL_EXAMPLE}."}


def _unfit_for_production(settings: Settings) -> dict[str, str]:
    secret = settings.secret_key.get_secret_value()
    refusals = {}
    if settings.database_url is None:
        refusals["DATABASE_URL"] = (
            "DATABASE_URL (or DB_HOST, DB_USER, DB_PASSWORD and DB_NAME) is missing: production refuses the embedded "
            f"database, for example DATABASE_URL={_URL_EXAMPLE}."
        )
    if not secret or "change-me" in secret.lower() or len(set(secret)) < 8:
        what = "is the example or easy to guess" if secret else "is missing"
        refusals["EMPORIUM_SECRET_KEY"] = (
            f"EMPORIUM_SECRET_KEY {what}: production needs a secret of its own, for example "
            f"EMPORIUM_SECRET_KEY={_SECRET_EXAMPLE}."
        )
    if settings.debug:
        refusals["EMPORIUM_DEBUG"] = "EMPORIUM_DEBUG is on: production refuses it, for example EMPORIUM_DEBUG=off."
    if not settings.limits:
        refusals["EMPORIUM_LIMITS"] = "EMPORIUM_LIMITS is off: production refuses it, for example EMPORIUM_LIMITS=on."
    return refusals


def _completed(settings: Settings) -> Settings:
    direct = settings.direct_url or settings.database_url
    completed: dict[str, object] = {"direct_url": direct, "migration_url": settings.migration_url or direct}
    if not settings.secret_key.get_secret_value():
        kept = settings.environment == "development"
        secret = _kept_secret(settings.data_dir) if kept else secrets.token_hex(MIN_SECRET_BYTES)
        completed["secret_key"] = SecretStr(secret)
    return settings.model_copy(update=completed)


def _kept_secret(data_dir: Path) -> str:
    """The secret of a developer's machine, made once, so that tokens outlive a restart."""
    path = data_dir / "secret_key"
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            _make_secret(path)
    except OSError as error:
        raise _unusable(path, f"cannot be written ({error.strerror})") from None
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise _unusable(path, "cannot be read") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise _unusable(path, "holds less than 32 bytes")
    return secret


def _make_secret(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(secrets.token_hex(MIN_SECRET_BYTES), encoding="ascii")
        # A link never replaces: two processes that start together both read the secret of the first.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _unusable(path: Path, what: str) -> SettingsError:
    return SettingsError(
        [f"EMPORIUM_SECRET_KEY is not set and {path} {what}; set it, for example EMPORIUM_SECRET_KEY={_SECRET_EXAMPLE}."]
    )
