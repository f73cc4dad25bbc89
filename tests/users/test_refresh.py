"""Refreshing and logging out: one use per token, a second chance for lost answers, none for thieves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from tests.users.conftest import Look
from tests.users.users_app import UsersApp, assert_problem

from kernel.database.call import run_call
from users.service import InvalidRefreshToken, RefreshTokens

ELEVEN_SECONDS = timedelta(seconds=11)


class TestRefresh:
    def test_a_refresh_token_is_exchanged_for_a_new_pair(self, users: UsersApp) -> None:
        me = users.customer()

        answer = users.refresh_request(me.refresh_token)

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        pair = answer.json()
        assert pair["refresh_token"] != me.refresh_token
        assert users.get("/users/me", headers={"authorization": f"Bearer {pair['access_token']}"}).status_code == 200

    def test_successors_can_be_exchanged_in_turn(self, users: UsersApp) -> None:
        token = users.customer().refresh_token
        seen = {token}
        for _ in range(5):
            users.clock.advance(timedelta(days=29))
            token = users.refresh_request(token).json()["refresh_token"]
            seen.add(token)

        assert len(seen) == 6

    def test_a_refresh_token_expires(self, users: UsersApp) -> None:
        me = users.customer()
        users.clock.advance(timedelta(days=30, seconds=1))

        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")

    def test_a_repeat_within_ten_seconds_gets_the_same_successor(self, users: UsersApp) -> None:
        me = users.customer()
        first = users.refresh_request(me.refresh_token).json()
        users.clock.advance(timedelta(seconds=10))

        repeated = users.refresh_request(me.refresh_token)

        assert repeated.status_code == 200
        assert repeated.json()["refresh_token"] == first["refresh_token"]
        assert users.refresh_request(first["refresh_token"]).status_code == 200

    def test_a_used_token_ends_the_family_after_ten_seconds(self, users: UsersApp) -> None:
        me = users.customer()
        successor = users.refresh_request(me.refresh_token).json()["refresh_token"]
        users.clock.advance(ELEVEN_SECONDS)

        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")

        assert_problem(users.refresh_request(successor), 401, "invalid-refresh-token")

    def test_a_token_whose_successor_was_used_ends_the_family_at_once(self, users: UsersApp) -> None:
        me = users.customer()
        second = users.refresh_request(me.refresh_token).json()["refresh_token"]
        third = users.refresh_request(second).json()["refresh_token"]

        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")

        assert_problem(users.refresh_request(third), 401, "invalid-refresh-token")

    def test_other_log_ins_outlive_a_theft(self, users: UsersApp) -> None:
        me = users.customer()
        elsewhere = users.log_in(me.email)
        users.refresh_request(me.refresh_token)
        users.clock.advance(ELEVEN_SECONDS)
        users.refresh_request(me.refresh_token)

        assert users.refresh_request(elsewhere.refresh_token).status_code == 200

    def test_many_who_refresh_one_token_at_once_get_one_successor(self, users: UsersApp, look: Look) -> None:
        me = users.customer()

        pairs = at_once([lambda: users.service.refresh(refresh_token=me.refresh_token)] * 8)

        assert len({pair.refresh_token for pair in pairs}) == 1
        assert look("SELECT generation FROM users.token_families")[0][0] == 2
        assert users.refresh_request(pairs[0].refresh_token).status_code == 200

    def test_a_refresh_brings_the_roles_of_now(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()
        users.put(f"/users/{me.id}/roles/admin", headers=admin.headers)

        pair = users.refresh_request(me.refresh_token).json()

        assert users.get("/users", headers={"authorization": f"Bearer {pair['access_token']}"}).status_code == 200

    def test_a_disabled_account_cannot_refresh_even_after_it_is_enabled(self, users: UsersApp) -> None:
        admin, me = users.admin(), users.customer()
        users.post(f"/users/{me.id}/disable", headers=admin.headers)
        assert users.refresh_request(me.refresh_token).status_code == 401
        users.post(f"/users/{me.id}/enable", headers=admin.headers)

        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")

    def test_all_failures_are_told_in_the_same_words(self, users: UsersApp) -> None:
        used, closed, expired = users.customer(), users.customer(), users.customer()
        users.delete("/users/me", headers=closed.headers)
        users.refresh_request(used.refresh_token)
        users.clock.advance(timedelta(days=31))

        tokens = [used.refresh_token, closed.refresh_token, expired.refresh_token, "made-up", used.access_token[:200]]
        problems = [assert_problem(users.refresh_request(token), 401, "invalid-refresh-token") for token in tokens]

        assert len({(problem["detail"], *problem) for problem in problems}) == 1

    def test_a_stolen_database_holds_no_token(self, users: UsersApp, look: Look) -> None:
        me = users.customer()

        stored = str(look("SELECT * FROM users.token_families"))

        assert me.refresh_token not in stored
        family = look("SELECT id FROM users.token_families")[0][0]
        forged = RefreshTokens("another-secret-" * 4).write(family, 1)
        assert_problem(users.refresh_request(forged), 401, "invalid-refresh-token")
        assert users.refresh_request(me.refresh_token).status_code == 200

    @pytest.mark.parametrize("position", range(0, 75, 7))
    def test_a_changed_token_is_refused_and_harms_nobody(self, users: UsersApp, position: int) -> None:
        me = users.customer()
        letter = "A" if me.refresh_token[position] != "A" else "B"
        changed = me.refresh_token[:position] + letter + me.refresh_token[position + 1 :]

        assert_problem(users.refresh_request(changed), 401, "invalid-refresh-token")

        assert users.refresh_request(me.refresh_token).status_code == 200

    def test_an_account_keeps_its_hundred_latest_log_ins(self, users: UsersApp, look: Look) -> None:
        me = users.customer()
        for _ in range(100):
            users.clock.advance(timedelta(seconds=1))
            users.service.log_in(email=me.email, password="a long enough password")

        assert look("SELECT count(*) FROM users.token_families")[0][0] == 100
        assert users.refresh_request(me.refresh_token).status_code == 401

    def test_a_log_in_sweeps_away_what_has_expired(self, users: UsersApp, look: Look) -> None:
        me = users.customer()
        users.clock.advance(timedelta(days=31))
        users.log_in(me.email)

        assert look("SELECT count(*) FROM users.token_families")[0][0] == 1


class TestLogOut:
    def test_logging_out_here_ends_this_log_in_only(self, users: UsersApp) -> None:
        me = users.customer()
        elsewhere = users.log_in(me.email)

        answer = users.post("/auth/logout", json={"refresh_token": me.refresh_token})

        assert answer.status_code == 204
        assert_problem(users.refresh_request(me.refresh_token), 401, "invalid-refresh-token")
        assert users.refresh_request(elsewhere.refresh_token).status_code == 200

    @pytest.mark.parametrize("token", ["made-up", "é", "A" * 75])
    def test_logging_out_twice_or_with_an_unknown_token_is_no_error(self, users: UsersApp, token: str) -> None:
        me = users.customer()
        for value in (me.refresh_token, me.refresh_token, token):
            assert users.post("/auth/logout", json={"refresh_token": value}).status_code == 204

    def test_an_older_token_of_the_log_in_ends_it_too(self, users: UsersApp) -> None:
        me = users.customer()
        successor = users.refresh_request(me.refresh_token).json()["refresh_token"]

        users.post("/auth/logout", json={"refresh_token": me.refresh_token})

        assert users.refresh_request(successor).status_code == 401

    def test_logging_out_everywhere_ends_all_tokens_at_once(self, users: UsersApp) -> None:
        me = users.customer()
        elsewhere = users.log_in(me.email)

        assert users.post("/auth/logout-everywhere", headers=me.headers).status_code == 204

        for log_in in (me, elsewhere):
            assert_problem(users.get("/users/me", headers=log_in.headers), 401, "invalid-token")
            assert_problem(users.refresh_request(log_in.refresh_token), 401, "invalid-refresh-token")
        assert users.token_request(me.email).status_code == 200

    def test_logging_out_everywhere_needs_a_log_in(self, users: UsersApp) -> None:
        assert_problem(users.post("/auth/logout-everywhere"), 401, "unauthenticated")

    def test_others_stay_logged_in(self, users: UsersApp) -> None:
        me, other = users.customer(), users.customer()
        users.post("/auth/logout-everywhere", headers=me.headers)

        assert users.get("/users/me", headers=other.headers).status_code == 200
        assert users.refresh_request(other.refresh_token).status_code == 200

    def test_a_refresh_that_races_a_log_out_everywhere_leaves_no_live_token(self, users: UsersApp, look: Look) -> None:
        for _ in range(5):
            me = users.customer()

            def refresh(token: str = me.refresh_token) -> object:
                try:
                    return users.service.refresh(refresh_token=token)
                except InvalidRefreshToken:
                    return None

            at_once([refresh, partial(users.service.log_out_everywhere, user_id=me.id)])

            assert look("SELECT count(*) FROM users.token_families WHERE user_id = :id", id=me.id)[0][0] == 0


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the calls in threads that start together, each as the kernel runs a call; answers their results."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(timeout=10)
        return run_call(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=30) for future in [pool.submit(run, call) for call in calls]]
