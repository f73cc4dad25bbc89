"""Registering: who gets an account, and what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import event
from tests.users.conftest import Look
from tests.users.users_app import PASSWORD, UsersApp, assert_problem

ADA = {"email": "ada@example.com", "password": PASSWORD, "full_name": "Ada Lovelace"}


class TestRegister:
    def test_a_new_account_is_answered_with_its_address_and_without_its_password(self, users: UsersApp) -> None:
        answer = users.post("/users", json=ADA)

        assert answer.status_code == 201
        body = answer.json()
        assert answer.headers["location"] == f"/api/v1/users/{body['id']}"
        assert body["full_name"] == "Ada Lovelace"
        assert body["roles"] == []
        assert set(body) == {"id", "email", "full_name", "roles", "disabled_at", "created_at", "updated_at"}
        assert PASSWORD not in answer.text
        assert "argon2" not in answer.text

    def test_the_name_is_optional(self, users: UsersApp) -> None:
        answer = users.post("/users", json={"email": "ada@example.com", "password": PASSWORD})

        assert answer.status_code == 201
        assert answer.json()["full_name"] is None

    @pytest.mark.parametrize("twin", ["ada@example.com", "ADA@Example.COM", " Ada@example.com "])
    def test_an_address_is_taken_in_any_letter_case(self, users: UsersApp, twin: str) -> None:
        users.post("/users", json=ADA)

        answer = users.post("/users", json={**ADA, "email": twin})

        assert_problem(answer, 409, "email-taken")

    def test_of_two_who_register_one_address_at_once_one_gets_it(self, users: UsersApp, look: Look) -> None:
        first = users.together([("POST", "/users", {"json": ADA})] * 6)
        # Who waited too long for the winner, on a busy machine, asks again.
        answers = [users.post("/users", json=ADA) if answer.status_code == 503 else answer for answer in first]

        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
        assert look("SELECT count(*) FROM users.accounts")[0][0] == 1
        assert look("SELECT count(*) FROM kernel.principals")[0][0] == 1

    def test_a_taken_address_is_no_error_of_the_database(self, users: UsersApp) -> None:
        """Whose log would then hold the statement, with the address and the hash of the password."""
        users.post("/users", json=ADA)
        errors: list[BaseException] = []
        event.listen(users.engines.writer, "handle_error", lambda context: errors.append(context.original_exception))

        assert_problem(users.post("/users", json=ADA), 409, "email-taken")

        assert errors == []

    def test_letters_beyond_ascii_are_compared_without_case_too(self, users: UsersApp) -> None:
        users.post("/users", json={**ADA, "email": "ÉVA@example.com"})

        answer = users.post("/users", json={**ADA, "email": "éva@example.com"})

        assert_problem(answer, 409, "email-taken")

    @pytest.mark.parametrize(
        "member",
        [{"role": "admin"}, {"roles": ["admin"]}, {"is_admin": True}, {"id": 1}, {"disabled_at": None}, {"epoch": 5}],
    )
    def test_a_role_and_everything_else_unknown_is_refused(
        self, users: UsersApp, look: Look, member: dict[str, object]
    ) -> None:
        answer = users.post("/users", json={**ADA, **member})

        members = assert_problem(answer, 422, "invalid")
        assert members["errors"][0]["pointer"] == f"/{next(iter(member))}"
        assert look("SELECT count(*) FROM users.accounts")[0][0] == 0

    @pytest.mark.parametrize(
        "email", ["ada", "ada@", "@example.com", "a b@example.com", "ada@example", "ada@exa mple.com", "<ada@example.com>", ""]
    )
    def test_what_is_no_address_is_refused_by_pointer(self, users: UsersApp, email: str) -> None:
        members = assert_problem(users.post("/users", json={**ADA, "email": email}), 422, "invalid")

        assert members["errors"][0]["pointer"] == "/email"

    @pytest.mark.parametrize("email", ["ada@corp.test", "ada@mail.example", "ada+lamps@example.com", "a@bücher.example"])
    def test_addresses_of_trials_and_of_the_world_are_accepted(self, users: UsersApp, email: str) -> None:
        assert users.post("/users", json={**ADA, "email": email}).status_code == 201

    @pytest.mark.parametrize("password", ["tiny", "x" * 9, "x" * 129, "x" * 10_000, "ADA@example.com", ""])
    def test_a_password_that_is_too_short_too_long_or_the_address_is_refused(self, users: UsersApp, password: str) -> None:
        members = assert_problem(users.post("/users", json={**ADA, "password": password}), 422, "invalid")

        assert members["errors"][0]["pointer"] == "/password"
        assert password == "" or password not in str(members)

    @pytest.mark.parametrize("password", ["x" * 10, "x" * 128, "пароль и ещё", "  spaces count  ", "🐘" * 10])
    def test_any_characters_make_a_password(self, users: UsersApp, password: str) -> None:
        users.post("/users", json={**ADA, "password": password})

        assert users.token_request("ada@example.com", password).status_code == 200

    def test_a_password_is_the_same_however_its_letters_are_composed(self, users: UsersApp) -> None:
        users.post("/users", json={**ADA, "password": "caf\u00e9 au lait"})

        assert users.token_request("ada@example.com", "cafe\u0301 au lait").status_code == 200

    def test_only_a_hash_of_the_password_is_stored(self, users: UsersApp, look: Look) -> None:
        users.post("/users", json=ADA)

        stored = look("SELECT password_hash FROM users.accounts")[0][0]
        assert stored.startswith("$argon2id$")
        assert PASSWORD not in str(look("SELECT * FROM users.accounts"))
