"""Settings of ordering: the sandbox never serves in production, and secrets of webhooks are long and at most two."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kernel.settings import SettingsError, load_settings
from ordering.settings import load_payment_settings

SECRET = "0123456789abcdef0123456789abcdef"
PRODUCTION = {"EMPORIUM_ENV": "production", "EMPORIUM_SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://a:b@db/shop"}
TEST = {"EMPORIUM_ENV": "test", "EMPORIUM_SECRET_KEY": SECRET}


def load(environ: dict[str, str], tmp_path: Path, **values: str) -> tuple[str, tuple[str, ...]]:
    settings = load_settings(environ=environ, env_file=tmp_path / "none")
    found = load_payment_settings(settings, environ=values)
    return found.gateway, found.webhook_secrets


def test_the_sandbox_serves_unless_in_production(tmp_path: Path) -> None:
    assert load(TEST, tmp_path)[0] == "sandbox"
    assert load(PRODUCTION, tmp_path)[0] == "none"
    assert load(TEST, tmp_path, EMPORIUM_PAYMENT_GATEWAY="none")[0] == "none"


def test_production_refuses_the_sandbox_by_the_variables_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"EMPORIUM_PAYMENT_GATEWAY is sandbox.*production refuses"):
        load(PRODUCTION, tmp_path, EMPORIUM_PAYMENT_GATEWAY="sandbox")


def test_an_unknown_gateway_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be sandbox or none"):
        load(TEST, tmp_path, EMPORIUM_PAYMENT_GATEWAY="stripe")


def test_webhook_secrets_are_the_new_and_the_old_one(tmp_path: Path) -> None:
    old, new = "o" * 32, "n" * 32
    assert load(TEST, tmp_path, EMPORIUM_PAYMENT_WEBHOOK_SECRETS=f"{new}, {old}")[1] == (new, old)
    for bad in ("short", f"{new},{old},{SECRET}"):
        with pytest.raises(SettingsError, match="EMPORIUM_PAYMENT_WEBHOOK_SECRETS"):
            load(TEST, tmp_path, EMPORIUM_PAYMENT_WEBHOOK_SECRETS=bad)


def test_without_a_secret_the_shop_has_one_of_its_own(tmp_path: Path) -> None:
    (secret,) = load(TEST, tmp_path)[1]
    assert len(secret) == 64
    assert secret != SECRET
    other = load({**TEST, "EMPORIUM_SECRET_KEY": SECRET[::-1]}, tmp_path)[1]
    assert other != (secret,)


def test_unpaid_orders_hold_their_stock_for_a_quarter_of_an_hour_or_as_set(tmp_path: Path) -> None:
    settings = load_settings(environ=TEST, env_file=tmp_path / "none")
    assert load_payment_settings(settings, environ={}).hold == timedelta(minutes=15)
    assert load_payment_settings(settings, environ={"EMPORIUM_HOLD_MINUTES": "60"}).hold == timedelta(hours=1)


@pytest.mark.parametrize("minutes", ["0", "-1", "1.5", "soon", "10081", "9" * 30, "\u0663"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, minutes: str) -> None:
    with pytest.raises(SettingsError, match="EMPORIUM_HOLD_MINUTES must be whole minutes"):
        load(TEST, tmp_path, EMPORIUM_HOLD_MINUTES=minutes)
