"""A person's own account: read, change, password, delete; and that it is nobody else's."""

from __future__ import annotations

import pytest
from tests.users.conftest import Look
from tests.users.users_app import PASSWORD, UsersApp, assert_problem

NEW_PASSWORD = "an even longer password"


class TestRead:
    def test_a_person_reads_their_account_by_me_and_by_id(self, users: UsersApp) -> None:
        me = users.customer()

        by_me = users.get("/users/me", headers=me.headers)
        by_id = users.get(f"/users/{me.id}", headers=me.headers)

        assert by_me.status_code == by_id.status_code == 200
        assert by_me.json() == by_id.json()
        assert by_me.json()["email"] == me.email

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    def test_me_needs_a_log_in(self, users: UsersApp, method: str) -> None:
        answer = users.request(method, "/users/me", json={} if method == "PATCH" else None)

        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


class TestSomebodyElse:
    @pytest.mark.parametrize(
        ("method", "body"),
        [
            ("GET", None),
            ("PUT", {"full_name": "Mallory"}),
            ("PATCH", {"full_name": "Mallory"}),
            ("PATCH", {}),
            ("DELETE", None),
        ],
    )
    def test_somebody_elses_account_is_not_there(self, users: UsersApp, method: str, body: dict[str, str] | None) -> None:
        me, other = users.customer(), users.customer()

        theirs = users.request(method, f"/users/{other.id}", headers=me.headers, json=body)
        nobodys = users.request(method, "/users/999999", headers=me.headers, json=body)

        assert_problem(theirs, 404, "user-not-found")
        assert_problem(nobodys, 404, "user-not-found")
        assert theirs.json()["detail"].replace(str(other.id), "#") == nobodys.json()["detail"].replace("999999", "#")
        untouched = users.get("/users/me", headers=other.headers)
        assert untouched.json()["full_name"] == "Ada Lovelace"

    def test_an_admin_reads_changes_and_deletes_any_account(self, users: UsersApp) -> None:
        admin, other = users.admin(), users.customer()

        assert users.get(f"/users/{other.id}", headers=admin.headers).json()["email"] == other.email
        changed = users.patch(f"/users/{other.id}", json={"full_name": "Grace Hopper"}, headers=admin.headers)
        assert changed.json()["full_name"] == "Grace Hopper"
        assert users.delete(f"/users/{other.id}", headers=admin.headers).status_code == 204
        assert users.get(f"/users/{other.id}", headers=admin.headers).status_code == 404

    @pytest.mark.parametrize("user_id", ["0", "-1", "abc", "1.5", str(2**63), "9" * 40, "%00", "1%0A"])
    def test_an_id_that_cannot_be_is_not_there(self, users: UsersApp, user_id: str) -> None:
        admin = users.admin()

        assert users.get(f"/users/{user_id}", headers=admin.headers).status_code == 404


class TestChange:
    def test_a_merge_patch_sets_and_removes_the_name(self, users: UsersApp) -> None:
        me = users.customer()

        changed = users.patch("/users/me", json={"full_name": "Ada King"}, headers=me.headers)
        unchanged = users.patch(f"/users/{me.id}", json={}, headers=me.headers)
        removed = users.patch("/users/me", json={"full_name": None}, headers=me.headers)

        assert changed.json()["full_name"] == "Ada King"
        assert unchanged.json() == changed.json()
        assert removed.json()["full_name"] is None

    def test_put_replaces_what_can_be_replaced(self, users: UsersApp) -> None:
        me = users.customer()

        changed = users.put(f"/users/{me.id}", json={"full_name": "Ada King"}, headers=me.headers)
        removed = users.put(f"/users/{me.id}", json={}, headers=me.headers)

        assert changed.json()["full_name"] == "Ada King"
        assert removed.json()["full_name"] is None

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize(
        "member", ["email", "password", "password_hash", "roles", "role", "id", "epoch", "disabled_at", "created_at"]
    )
    def test_nothing_else_changes_not_even_for_an_admin(self, users: UsersApp, method: str, member: str) -> None:
        admin, me = users.admin(), users.customer()
        for caller in (me, admin):
            body = {"full_name": "Mallory", member: "x@example.com"}
            answer = users.request(method, f"/users/{me.id}", json=body, headers=caller.headers)

            assert assert_problem(answer, 422, "invalid")["errors"][0]["pointer"] == f"/{member}"
        assert users.get("/users/me", headers=me.headers).json()["full_name"] == "Ada Lovelace"


class TestPassword:
    def test_a_new_password_ends_every_other_log_in_and_goes_on_here(self, users: UsersApp) -> None:
        me = users.customer()
        elsewhere = users.log_in(me.email)

        answer = users.post(
            "/users/me/password", json={"old_password": PASSWORD, "new_password": NEW_PASSWORD}, headers=me.headers
        )

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        pair = answer.json()
        assert users.get("/users/me", headers={"authorization": f"Bearer {pair['access_token']}"}).status_code == 200
        assert users.refresh_request(pair["refresh_token"]).status_code == 200
        for log_in in (me, elsewhere):
            assert users.get("/users/me", headers=log_in.headers).status_code == 401
            assert users.refresh_request(log_in.refresh_token).status_code == 401
        assert users.token_request(me.email).status_code == 401
        assert users.token_request(me.email, NEW_PASSWORD).status_code == 200

    def test_the_old_password_is_needed(self, users: UsersApp) -> None:
        me = users.customer()

        answer = users.post(
            "/users/me/password", json={"old_password": "a wrong password", "new_password": NEW_PASSWORD}, headers=me.headers
        )

        members = assert_problem(answer, 422, "wrong-password")
        assert members["errors"][0]["pointer"] == "/old_password"
        assert users.get("/users/me", headers=me.headers).status_code == 200
        assert users.token_request(me.email).status_code == 200

    @pytest.mark.parametrize("new", ["short", "x" * 129, None, 12345678901])
    def test_the_new_password_keeps_the_rules(self, users: UsersApp, new: object) -> None:
        me = users.customer()

        answer = users.post("/users/me/password", json={"old_password": PASSWORD, "new_password": new}, headers=me.headers)

        assert assert_problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/new_password"

    def test_the_new_password_is_not_the_address(self, users: UsersApp) -> None:
        me = users.customer()

        answer = users.post(
            "/users/me/password", json={"old_password": PASSWORD, "new_password": me.email.upper()}, headers=me.headers
        )

        assert assert_problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/new_password"

    def test_of_two_changes_at_once_one_wins(self, users: UsersApp) -> None:
        me = users.customer()
        bodies = [{"old_password": PASSWORD, "new_password": f"password number {number}"} for number in range(4)]

        answers = users.together([("POST", "/users/me/password", {"json": body, "headers": me.headers}) for body in bodies])

        won = [body["new_password"] for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200]
        assert len(won) == 1
        assert {answer.status_code for answer in answers} <= {200, 401, 422}
        assert users.token_request(me.email, won[0]).status_code == 200


class TestDelete:
    def test_deleting_erases_what_is_known_of_the_person_and_keeps_the_id(self, users: UsersApp, look: Look) -> None:
        me = users.customer()

        assert users.delete("/users/me", headers=me.headers).status_code == 204

        (row,) = look("SELECT * FROM users.accounts")
        assert row.id == me.id
        assert (row.email, row.full_name, row.password_hash) == (None, None, None)
        assert row.closed_at is not None
        for table in ("users.token_families", "users.role_grants", "kernel.principals"):
            assert look(f"SELECT count(*) FROM {table}")[0][0] == 0

    def test_deleting_ends_all_tokens(self, users: UsersApp) -> None:
        me = users.customer()
        users.delete(f"/users/{me.id}", headers=me.headers)

        assert_problem(users.get("/users/me", headers=me.headers), 401, "invalid-token")
        assert_problem(users.delete("/users/me", headers=me.headers), 401, "invalid-token")
        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")
        assert_problem(users.token_request(me.email), 401, "invalid-credentials")

    def test_deleting_frees_the_address(self, users: UsersApp) -> None:
        me = users.customer()
        users.delete("/users/me", headers=me.headers)

        again = users.post("/users", json={"email": me.email, "password": PASSWORD})

        assert again.status_code == 201
        assert again.json()["id"] != me.id

    def test_deleting_is_announced_once(self, users: UsersApp, look: Look) -> None:
        me = users.customer()
        users.delete("/users/me", headers=me.headers)
        users.delete("/users/me", headers=me.headers)

        events = look("SELECT name, aggregate, payload FROM kernel.outbox")
        assert [tuple(event) for event in events] == [("users.UserClosed", f"user:{me.id}", {"user_id": me.id})]

    def test_a_closed_account_cannot_hold_personal_data(self, users: UsersApp, look: Look) -> None:
        me = users.customer()
        users.delete("/users/me", headers=me.headers)

        with pytest.raises(Exception, match="ck_accounts_closed_is_erased"):
            look("UPDATE users.accounts SET full_name = 'Ada'")
