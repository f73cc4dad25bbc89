"""Logging in: what a log-in is worth, that failures tell nothing, and that guessing is slow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.users.conftest import Look
from tests.users.users_app import PASSWORD, UsersApp, assert_problem, new_email, open_users

from kernel.database.engines import Engines
from users.router.attempts import PER_ACCOUNT, PER_ADDRESS, WINDOW
from users.service import Passwords


class TestLogIn:
    def test_the_right_password_is_worth_a_pair_of_tokens(self, users: UsersApp) -> None:
        user_id = users.register(email="ada@example.com")

        answer = users.token_request("ada@example.com")

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        pair = answer.json()
        assert set(pair) == {"access_token", "refresh_token", "token_type", "expires_in"}
        assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
        me = users.get("/users/me", headers={"authorization": f"Bearer {pair['access_token']}"})
        assert me.json()["id"] == user_id

    @pytest.mark.parametrize("spelling", ["ADA@EXAMPLE.COM", "  ada@example.com "])
    def test_the_address_counts_in_any_letter_case(self, users: UsersApp, spelling: str) -> None:
        users.register(email="Ada@Example.com")

        assert users.token_request(spelling).status_code == 200

    def test_what_an_oauth2_client_sends_besides_is_accepted(self, users: UsersApp) -> None:
        users.register(email="ada@example.com")
        form = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD, "scope": "", "client_id": "docs"}

        assert users.post("/auth/token", data=form).status_code == 200

    def test_another_grant_is_refused(self, users: UsersApp) -> None:
        users.register(email="ada@example.com")
        form = {"grant_type": "client_credentials", "username": "ada@example.com", "password": PASSWORD}

        assert_problem(users.post("/auth/token", data=form), 422, "invalid")

    def test_json_is_no_form(self, users: UsersApp) -> None:
        answer = users.post("/auth/token", json={"username": "ada@example.com", "password": PASSWORD})

        assert_problem(answer, 415, "unsupported-media-type")


class TestFailures:
    @pytest.fixture
    def reasons(self, users: UsersApp) -> dict[str, tuple[str, str]]:
        """E-mail address and password for every reason to refuse a log-in."""
        admin = users.admin()
        for name in ("right", "disabled", "closed"):
            users.register(email=f"{name}@example.com")
        users.post(f"/users/{users.log_in('disabled@example.com').id}/disable", headers=admin.headers)
        users.delete("/users/me", headers=users.log_in("closed@example.com").headers)
        return {
            "unknown address": ("nobody@example.com", PASSWORD),
            "no address at all": ("nobody", PASSWORD),
            "wrong password": ("right@example.com", "not the password"),
            "disabled": ("disabled@example.com", PASSWORD),
            "disabled, wrong password": ("disabled@example.com", "not the password"),
            "closed": ("closed@example.com", PASSWORD),
        }

    def test_all_failures_are_told_in_the_same_words(self, users: UsersApp, reasons: dict[str, tuple[str, str]]) -> None:
        answers = {reason: users.token_request(*credentials) for reason, credentials in reasons.items()}

        problems = [assert_problem(answer, 401, "invalid-credentials") for answer in answers.values()]
        for problem in problems:
            del problem["instance"]
        assert all(problem == problems[0] for problem in problems)
        assert len({frozenset(answer.headers) for answer in answers.values()}) == 1

    def test_all_failures_cost_the_same_work_as_a_success(self, users: UsersApp, reasons: dict[str, tuple[str, str]]) -> None:
        work = {}
        for reason, credentials in {**reasons, "success": ("right@example.com", PASSWORD)}.items():
            before = users.passwords.worked
            users.token_request(*credentials)
            work[reason] = users.passwords.worked - before

        assert set(work.values()) == {1}, work

    def test_hashing_holds_no_connection(self, users: UsersApp) -> None:
        me = users.customer()
        users.token_request(me.email, "not the password")
        users.post(
            "/users/me/password",
            json={"old_password": PASSWORD, "new_password": "a longer password still"},
            headers=me.headers,
        )

        assert users.passwords.worked >= 5
        assert users.passwords.connections_held == 0


class TestLimits:
    def test_too_many_failures_close_an_account_for_a_while(self, users: UsersApp) -> None:
        users.register(email="ada@example.com")
        for _ in range(PER_ACCOUNT):
            assert_problem(users.token_request("ada@example.com", "a wrong password"), 401, "invalid-credentials")

        refused = users.token_request("ada@example.com")

        assert_problem(refused, 429, "too-many-requests")
        assert 0 < int(refused.headers["retry-after"]) <= WINDOW.total_seconds()
        users.clock.advance(WINDOW + timedelta(seconds=1))
        assert users.token_request("ada@example.com").status_code == 200

    def test_an_address_without_account_is_limited_alike(self, users: UsersApp) -> None:
        answers = [users.token_request("nobody@example.com") for _ in range(PER_ACCOUNT + 1)]

        assert [answer.status_code for answer in answers] == [401] * PER_ACCOUNT + [429]

    def test_other_spellings_of_an_address_count_together(self, users: UsersApp) -> None:
        users.register(email="ada@example.com")
        spellings = ["ada@example.com", "ADA@example.com", " ada@EXAMPLE.com", "ada@\uff45xample.com"]
        for attempt in range(PER_ACCOUNT):
            users.token_request(spellings[attempt % len(spellings)], "a wrong password")

        assert users.token_request("ada@example.com").status_code == 429

    def test_others_are_not_locked_out_with_an_account(self, users: UsersApp) -> None:
        me = users.customer()
        for _ in range(PER_ACCOUNT + 1):
            users.token_request("nobody@example.com")

        assert users.token_request(me.email).status_code == 200

    def test_a_client_that_tries_many_accounts_is_stopped(self, users: UsersApp) -> None:
        me = users.customer()
        for _ in range(PER_ADDRESS):
            users.token_request(new_email(), client="198.51.100.7")

        assert_problem(users.token_request(me.email, client="198.51.100.7"), 429, "too-many-requests")
        assert users.token_request(me.email, client="198.51.100.8").status_code == 200

    def test_an_ipv6_client_cannot_change_its_address_within_its_network(self, users: UsersApp) -> None:
        for number in range(PER_ADDRESS):
            users.token_request(new_email(), client=f"2001:db8::{number:x}")

        assert users.token_request(new_email(), client="2001:db8::ffff:1").status_code == 429
        assert users.token_request(new_email(), client="2001:db8:0:1::1").status_code == 401

    def test_successes_do_not_count(self, users: UsersApp) -> None:
        users.register(email="ada@example.com")

        assert {users.token_request("ada@example.com").status_code for _ in range(PER_ACCOUNT * 2)} == {200}

    def test_wrong_old_passwords_are_limited_too(self, users: UsersApp) -> None:
        me = users.customer()
        body = {"old_password": "a wrong password", "new_password": "another password"}
        for _ in range(PER_ACCOUNT):
            assert_problem(users.post("/users/me/password", json=body, headers=me.headers), 422, "wrong-password")

        assert users.post("/users/me/password", json=body, headers=me.headers).status_code == 429

    def test_a_stranger_cannot_use_up_the_attempts_to_change_a_password(self, users: UsersApp) -> None:
        me = users.customer()
        for username in (str(me.id), f"id:{me.id}", me.email):
            for _ in range(PER_ACCOUNT):
                users.token_request(username, "a wrong password")

        body = {"old_password": PASSWORD, "new_password": "another password"}
        assert users.post("/users/me/password", json=body, headers=me.headers).status_code == 200

    def test_limits_can_be_lifted(self, engines: Engines) -> None:
        with open_users(engines, limits=False) as users:
            answers = [users.token_request("nobody@example.com") for _ in range(PER_ACCOUNT * 2)]

        assert {answer.status_code for answer in answers} == {401}


class TestHashes:
    def test_the_parameters_are_those_of_the_architecture(self) -> None:
        assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")

    def test_without_an_account_a_hash_as_costly_as_any_is_verified(self) -> None:
        passwords = Passwords()

        assert passwords.is_outdated(vars(passwords)["_nobodys"]) is False
        assert passwords.verify(None, PASSWORD) is False

    def test_a_broken_hash_opens_no_account(self) -> None:
        assert [Passwords().verify(broken, PASSWORD) for broken in ("x", "$argon2id$", PASSWORD)] == [False] * 3

    def test_a_hash_with_other_parameters_is_renewed_at_log_in(self, engines: Engines, look: Look) -> None:
        with open_users(engines, time_cost=1) as before:
            before.register(email="ada@example.com")
        with open_users(engines, time_cost=2) as users:
            assert users.token_request("ada@example.com", "a wrong password").status_code == 401
            assert ",t=1," in look("SELECT password_hash FROM users.accounts")[0][0]
            assert users.token_request("ada@example.com").status_code == 200
            assert ",t=2," in look("SELECT password_hash FROM users.accounts")[0][0]
            assert users.token_request("ada@example.com").status_code == 200

    def test_log_ins_that_renew_the_hash_at_once_all_succeed(self, engines: Engines, look: Look) -> None:
        with open_users(engines, time_cost=1) as before:
            before.register(email="ada@example.com")
        with open_users(engines, time_cost=2) as users:
            form = {"data": {"username": "ada@example.com", "password": PASSWORD}}
            answers = users.together([("POST", "/auth/token", form)] * 8)

        assert {answer.status_code for answer in answers} == {200}
        assert ",t=2," in look("SELECT password_hash FROM users.accounts")[0][0]
