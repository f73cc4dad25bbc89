"""The commands of users, the first admin of a shop, and the settings of tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from tests.users.users_app import PASSWORD, SECRET, UsersApp
from typer.testing import CliRunner, Result

from kernel.settings import Settings, SettingsError
from users.cli import FIRST_ADMIN, bootstrap, build_cli
from users.service import UserFilter
from users.settings import TokenLifetimes, load_token_lifetimes


def run(users: UsersApp, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(build_cli(lambda: users.service), ["create-admin", *arguments], input=typed)


class TestCreateAdmin:
    def test_an_admin_is_made_with_the_given_password(self, users: UsersApp) -> None:
        result = run(users, "--email", "Boss@example.com", "--password", PASSWORD)

        assert (result.exit_code, result.stdout) == (0, "boss@example.com is an admin now.\n")
        assert users.get("/users", headers=users.log_in("boss@example.com").headers).status_code == 200

    def test_a_generated_password_is_printed_and_works(self, users: UsersApp) -> None:
        result = run(users, "--email", "boss@example.com", "--generate")

        password = result.stdout.split("password ")[1].split()[0]
        assert users.token_request("boss@example.com", password).status_code == 200

    def test_a_repeat_says_so_and_changes_nothing(self, users: UsersApp) -> None:
        run(users, "--email", "boss@example.com", "--password", PASSWORD)

        result = run(users, "--email", "boss@example.com", "--password", "another password")

        assert (result.exit_code, result.stdout) == (0, "boss@example.com is an admin already; nothing has changed.\n")
        assert users.token_request("boss@example.com").status_code == 200

    def test_a_customers_account_becomes_an_admins_only_on_request(self, users: UsersApp) -> None:
        user_id = users.register(email="boss@example.com")

        refused = run(users, "--email", "boss@example.com", "--password", PASSWORD)
        assert refused.exit_code == 1
        assert "not an admin" in refused.stderr
        assert users.service.get(user_id=user_id).roles == ()

        assert run(users, "--email", "boss@example.com", "--promote").exit_code == 0
        assert users.service.get(user_id=user_id).roles == ("admin",)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--email", "boss@example.com", "--password", "tiny"],
            ["--email", "no address", "--password", PASSWORD],
            ["--email", "boss@example.com"],
            ["--email", "boss@example.com", "--password", PASSWORD, "--generate"],
            ["--email", "nobody@example.com", "--promote"],
            [],
        ],
    )
    def test_what_cannot_be_done_is_said_in_a_sentence(self, users: UsersApp, arguments: list[str]) -> None:
        result = run(users, *arguments)

        assert result.exit_code in (1, 2)
        assert result.stderr
        assert "Traceback" not in result.output


class TestFirstAdmin:
    def test_a_fresh_shop_prints_its_admins_password_once(self, users: UsersApp) -> None:
        (line,) = bootstrap(users.service, settings())

        password = line.split("password ")[1].split()[0]
        assert users.token_request(FIRST_ADMIN, password).status_code == 200
        assert bootstrap(users.service, settings()) == []

    @pytest.mark.parametrize(
        ("chosen", "variable"),
        [
            ({"admin_password": SecretStr("short")}, "EMPORIUM_ADMIN_PASSWORD"),
            ({"admin_email": "boss@shop.invalid"}, "EMPORIUM_ADMIN_EMAIL"),
        ],
    )
    def test_what_will_not_do_is_told_by_its_variable(self, users: UsersApp, chosen: dict[str, Any], variable: str) -> None:
        with pytest.raises(SettingsError, match=f"^{variable} will not do: "):
            bootstrap(users.service, settings(**chosen))

    def test_a_shop_with_an_admin_gets_no_other_one(self, users: UsersApp) -> None:
        users.register(email="boss@example.com", roles=["admin"])

        assert bootstrap(users.service, settings()) == []
        assert users.service.list_users(where=UserFilter(email=FIRST_ADMIN), after_id=0, limit=1) == []

    def test_address_and_password_can_be_set(self, users: UsersApp) -> None:
        chosen = settings(admin_email="boss@example.com", admin_password=SecretStr(PASSWORD))

        assert bootstrap(users.service, chosen) == []
        assert users.get("/users", headers=users.log_in("boss@example.com").headers).status_code == 200


class TestLifetimes:
    def test_they_are_minutes_and_days(self) -> None:
        assert load_token_lifetimes({}) == TokenLifetimes(access=timedelta(minutes=15), refresh=timedelta(days=30))
        chosen = load_token_lifetimes({"EMPORIUM_ACCESS_TOKEN_MINUTES": "5", "EMPORIUM_REFRESH_TOKEN_DAYS": "7"})
        assert chosen == TokenLifetimes(access=timedelta(minutes=5), refresh=timedelta(days=7))

    @pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "1441", "9" * 5000, "١٥"])
    def test_what_makes_no_sense_is_refused_by_name(self, value: str) -> None:
        with pytest.raises(SettingsError, match="EMPORIUM_ACCESS_TOKEN_MINUTES must be a whole number from 1 to 1440"):
            load_token_lifetimes({"EMPORIUM_ACCESS_TOKEN_MINUTES": value})


def settings(**values: object) -> Settings:
    return Settings(environment="test", secret_key=SecretStr(SECRET), **values)  # type: ignore[arg-type] # by name
