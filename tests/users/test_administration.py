"""Administration: listing users, roles, disabling; and that an admin remains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from tests.users.conftest import Look
from tests.users.test_refresh import at_once
from tests.users.users_app import LoggedIn, UsersApp, assert_problem

from users.interface import UserNotFound
from users.service import LastAdmin


class TestAllowed:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/users"),
            ("PUT", "/users/{id}/roles/admin"),
            ("PUT", "/users/{id}/roles/clerk"),
            ("DELETE", "/users/{id}/roles/admin"),
            ("POST", "/users/{id}/disable"),
            ("POST", "/users/{id}/enable"),
        ],
    )
    def test_only_admins_may(self, users: UsersApp, method: str, path: str) -> None:
        me = users.customer()
        path = path.format(id=me.id)

        assert_problem(users.request(method, path), 401, "unauthenticated")
        assert_problem(users.request(method, path, headers=me.headers), 403, "forbidden")
        assert users.get("/users/me", headers=me.headers).json()["roles"] == []


class TestList:
    def test_pages_follow_each_other_without_gap_or_repeat(self, users: UsersApp) -> None:
        admin = users.admin()
        ids = [admin.id, *(users.register() for _ in range(6))]
        found: list[int] = []
        path = "/users?limit=3"
        while True:
            page = users.get(path, headers=admin.headers).json()
            found += [user["id"] for user in page["items"]]
            if page["next_cursor"] is None:
                break
            path = f"/users?limit=3&cursor={page['next_cursor']}"

        assert found == ids

    def test_closed_accounts_are_not_listed(self, users: UsersApp) -> None:
        admin, gone = users.admin(), users.customer()
        users.delete("/users/me", headers=gone.headers)

        assert listed(users, admin) == [admin.id]

    def test_filters_narrow_the_list(self, users: UsersApp) -> None:
        admin, clerk, out = users.admin(), users.customer(), users.customer()
        users.put(f"/users/{clerk.id}/roles/clerk", headers=admin.headers)
        users.post(f"/users/{out.id}/disable", headers=admin.headers)

        assert listed(users, admin, role="admin") == [admin.id]
        assert listed(users, admin, role="clerk") == [clerk.id]
        assert listed(users, admin, role="nothing") == []
        assert listed(users, admin, disabled="true") == [out.id]
        assert listed(users, admin, disabled="false") == [admin.id, clerk.id]
        assert listed(users, admin, email=clerk.email.upper()) == [clerk.id]
        assert listed(users, admin, email="nobody@example.com") == []
        assert listed(users, admin, email="no address") == []
        assert listed(users, admin, role="clerk", disabled="true") == []

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=101", "limit=x", "cursor=x", "password_hash=x", "disabled=perhaps", "email=%00", "role=%ff%00"],
    )
    def test_parameters_that_make_no_sense_are_refused(self, users: UsersApp, query: str) -> None:
        answer = users.get(f"/users?{query}", headers=users.admin().headers)

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"


class TestRoles:
    def test_a_granted_role_ends_old_access_tokens_and_comes_with_the_next(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()

        granted = users.put(f"/users/{me.id}/roles/admin", headers=admin.headers)

        assert granted.status_code == 200
        assert granted.json()["roles"] == ["admin"]
        assert_problem(users.get("/users/me", headers=me.headers), 401, "invalid-token")
        assert users.get("/users", headers=users.log_in(me.email).headers).status_code == 200

    def test_a_taken_role_counts_from_the_next_request_on(self, users: UsersApp) -> None:
        admin, other = users.admin(), users.admin()
        assert users.get("/users", headers=other.headers).status_code == 200

        assert users.delete(f"/users/{other.id}/roles/admin", headers=admin.headers).status_code == 204

        assert_problem(users.get("/users", headers=other.headers), 401, "invalid-token")
        assert users.get("/users", headers=users.log_in(other.email).headers).status_code == 403

    def test_granting_and_taking_twice_changes_nothing_more(self, users: UsersApp, look: Look) -> None:
        admin, me = users.admin(), users.customer()
        for _ in range(2):
            assert users.put(f"/users/{me.id}/roles/clerk", headers=admin.headers).json()["roles"] == ["clerk"]
        for _ in range(2):
            assert users.delete(f"/users/{me.id}/roles/clerk", headers=admin.headers).status_code == 204

        assert look("SELECT epoch FROM kernel.principals WHERE user_id = :id", id=me.id)[0][0] == 3

    @pytest.mark.parametrize("name", ["owner", "Admin", "admin%00", "a" * 200, "%F0%9F%90%98"])
    def test_a_role_that_no_module_declares_is_not_there(self, users: UsersApp, name: str) -> None:
        admin, me = users.admin(), users.customer()

        assert users.put(f"/users/{me.id}/roles/{name}", headers=admin.headers).status_code == 404
        assert users.delete(f"/users/{me.id}/roles/{name}", headers=admin.headers).status_code == 404

    def test_a_role_of_a_module_that_is_gone_can_still_be_taken(self, users: UsersApp) -> None:
        admin = users.admin()
        user_id = users.register(roles=["courier"])

        assert users.delete(f"/users/{user_id}/roles/courier", headers=admin.headers).status_code == 204
        assert users.get(f"/users/{user_id}", headers=admin.headers).json()["roles"] == []

    @pytest.mark.parametrize(("method", "path"), [("PUT", "roles/clerk"), ("DELETE", "roles/clerk"), ("POST", "disable")])
    def test_an_unknown_account_is_not_there(self, users: UsersApp, method: str, path: str) -> None:
        answer = users.request(method, f"/users/999999/{path}", headers=users.admin().headers)

        assert_problem(answer, 404, "user-not-found")


class TestDisable:
    def test_a_disabled_account_is_out_from_the_next_request_on(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()

        answer = users.post(f"/users/{me.id}/disable", headers=admin.headers)

        assert answer.status_code == 200
        assert answer.json()["disabled_at"] is not None
        assert_problem(users.get("/users/me", headers=me.headers), 401, "invalid-token")
        assert_problem(users.get("/users/1", headers=me.headers), 401, "invalid-token")
        assert_problem(users.token_request(me.email), 401, "invalid-credentials")

    def test_an_enabled_account_logs_in_again(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()
        users.post(f"/users/{me.id}/disable", headers=admin.headers)

        answer = users.post(f"/users/{me.id}/enable", headers=admin.headers)

        assert answer.json()["disabled_at"] is None
        assert_problem(users.get("/users/me", headers=me.headers), 401, "invalid-token")
        assert users.get("/users/me", headers=users.log_in(me.email).headers).status_code == 200

    def test_disabling_twice_keeps_the_first_time(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()

        first = users.post(f"/users/{me.id}/disable", headers=admin.headers).json()

        assert users.post(f"/users/{me.id}/disable", headers=admin.headers).json() == first

    def test_a_log_in_that_races_a_disabling_leaves_no_live_token(self, users: UsersApp, look: Look) -> None:
        for _ in range(5):
            user_id = users.register()
            user = users.service.get(user_id=user_id)

            def log_in(email: str = user.email) -> object:
                return users.token_request(email).status_code

            at_once([log_in, partial(users.service.disable, user_id=user_id)])

            assert look("SELECT count(*) FROM users.token_families WHERE user_id = :id", id=user_id)[0][0] == 0


class TestLastAdmin:
    @pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/disable"), ("DELETE", "/roles/admin")])
    def test_the_last_admin_stays(self, users: UsersApp, method: str, path: str) -> None:
        admin, other = users.admin(), users.admin()
        users.post(f"/users/{other.id}/disable", headers=admin.headers)

        answer = users.request(method, f"/users/{admin.id}{path}", headers=admin.headers)

        assert_problem(answer, 409, "last-admin")
        assert users.get("/users", headers=admin.headers).status_code == 200

    def test_the_last_admin_cannot_delete_their_own_account_either(self, users: UsersApp) -> None:
        admin = users.admin()

        assert_problem(users.delete("/users/me", headers=admin.headers), 409, "last-admin")

    def test_the_last_admin_may_lose_other_roles(self, users: UsersApp) -> None:
        admin = users.admin()
        users.put(f"/users/{admin.id}/roles/clerk", headers=admin.headers)
        admin = users.log_in(admin.email)

        assert users.delete(f"/users/{admin.id}/roles/clerk", headers=admin.headers).status_code == 204

    @pytest.mark.parametrize("way", ["take", "disable", "close", "mixed"])
    def test_of_all_admins_who_go_at_once_one_stays(self, users: UsersApp, look: Look, way: str) -> None:
        ids = [users.register(roles=["admin"]) for _ in range(4)]
        admin = users.admin()
        principal = users.container.access_tokens().verify(admin.access_token)
        ways: dict[str, Callable[[int], object]] = {
            "take": lambda user_id: users.service.take_role(user_id=user_id, role="admin"),
            "disable": lambda user_id: users.service.disable(user_id=user_id),
            "close": lambda user_id: users.service.close(user_id=user_id, caller=principal),
        }
        names = [way] * 5 if way != "mixed" else ["take", "disable", "close", "take", "disable"]

        def go(user_id: int, name: str) -> bool:
            try:
                ways[name](user_id)
            except LastAdmin:
                return False
            return True

        gone = at_once([partial(go, user_id, name) for user_id, name in zip([*ids, admin.id], names, strict=True)])

        assert sorted(gone) == [False, True, True, True, True]
        active = look(
            "SELECT a.id FROM users.accounts a JOIN users.role_grants g ON g.user_id = a.id"
            " WHERE g.role = 'admin' AND a.disabled_at IS NULL AND a.closed_at IS NULL"
        )
        assert len(active) == 1


class TestFirstAdmin:
    def test_an_admin_is_made_once_with_a_generated_password(self, users: UsersApp) -> None:
        generated = users.service.ensure_admin(email="Boss@example.com", password=None)

        assert generated is not None
        assert users.service.ensure_admin(email="boss@example.com", password=None) is None
        assert users.service.ensure_admin(email="boss@example.com", password="another password") is None
        admin = users.log_in("boss@example.com", generated)
        assert users.get("/users", headers=admin.headers).status_code == 200

    def test_a_given_password_is_used_and_not_answered(self, users: UsersApp) -> None:
        assert users.service.ensure_admin(email="boss@example.com", password="a chosen password") is None

        assert users.token_request("boss@example.com", "a chosen password").status_code == 200

    def test_processes_that_start_together_make_one_admin(self, users: UsersApp) -> None:
        made = at_once([lambda: users.service.ensure_admin(email="boss@example.com", password=None)] * 4)

        (password,) = [password for password in made if password is not None]
        assert users.token_request("boss@example.com", password).status_code == 200

    def test_a_customer_with_the_admins_address_is_not_made_an_admin(self, users: UsersApp) -> None:
        user_id = users.register(email="boss@example.com")

        with pytest.raises(Exception, match="not an admin"):
            users.service.ensure_admin(email="boss@example.com", password=None)

        assert users.service.get(user_id=user_id).roles == ()

    def test_promoting_is_asked_for_by_name(self, users: UsersApp) -> None:
        users.register(email="boss@example.com")

        promoted = users.service.promote(email="BOSS@example.com")

        assert promoted.roles == ("admin",)
        with pytest.raises(UserNotFound):
            users.service.promote(email="nobody@example.com")


def listed(users: UsersApp, admin: LoggedIn, **filters: str) -> list[int]:
    answer = users.get("/users", params=filters, headers=admin.headers)
    assert answer.status_code == 200, answer.text
    return [user["id"] for user in answer.json()["items"]]
