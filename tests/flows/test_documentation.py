"""The pages for people, `/`, `/docs` and `/redoc`, come with everything they need from the application itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from starlette.testclient import TestClient
from tests.flows import _chromium
from tests.flows._chromium import Browser
from tests.shop_fixtures import Shop

PAGES = ["/", "/docs", "/docs/", "/redoc", "/redoc/"]
_REFERENCE = re.compile(r"""(?:src|href|data-openapi)="([^"]+)\"""")
PASSWORD = "a-long-pass-phrase"


@pytest.mark.parametrize("page", PAGES)
def test_every_address_in_a_page_is_local_and_answers(shop: Shop, page: str) -> None:
    addresses = _REFERENCE.findall(shop.http.get(page).text)

    assert addresses
    for address in addresses:
        assert address.startswith("/"), address
        assert shop.http.get(address).status_code == 200, address


@pytest.mark.parametrize("page", PAGES)
def test_pages_answer_head_and_forbid_everything_from_elsewhere(shop: Shop, page: str) -> None:
    answer = shop.http.head(page)

    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


def test_assets_are_kept_by_the_browser_for_good_and_revalidate(shop: Shop) -> None:
    address = next(a for a in _REFERENCE.findall(shop.http.get("/docs").text) if "bundle.js" in a)

    first = shop.http.get(address)
    again = shop.http.get(address, headers={"If-None-Match": first.headers["etag"]})

    assert "immutable" in first.headers["cache-control"]
    assert first.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")


def test_assets_come_plain_for_who_does_not_take_gzip(shop: Shop) -> None:
    answer = shop.http.get("/docs/assets/swagger-ui.css", headers={"Accept-Encoding": "identity"})

    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"].startswith("text/css")


def test_an_unknown_asset_is_not_found(shop: Shop) -> None:
    assert shop.http.get("/docs/assets/..%2Findex.html").status_code == 404
    assert shop.http.get("/docs/assets/index.html").status_code == 404


def test_the_viewer_understands_openapi_3_1(shop: Shop) -> None:
    script = shop.http.get("/docs/assets/swagger-ui-bundle.js").text

    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', script)
    assert version
    assert int(version[1]) >= 5


def test_redoc_does_not_fetch_its_makers_logo(shop: Shop) -> None:
    script = shop.http.get("/docs/assets/redoc.standalone.js").text

    assert "https://cdn." not in script


def test_an_address_without_a_fingerprint_is_asked_for_again(shop: Shop) -> None:
    assert shop.http.get("/favicon.ico").headers["cache-control"] == "no-cache"


def test_pages_work_below_a_prefix(shop: Shop) -> None:
    below = TestClient(shop.app, root_path="/shop")

    addresses = _REFERENCE.findall(below.get("/docs").text)

    assert addresses
    assert all(address.startswith("/shop/") for address in addresses), addresses


def test_the_host_header_cannot_bring_markup_into_the_landing_page(shop: Shop) -> None:
    page = shop.http.get("/", headers={"Host": "x'><script>alert(1)</script>"}).text

    assert "<script>" not in page


@pytest.fixture
def shop_address(shop: Shop) -> Iterator[str]:
    """The shop on a port of its own; the fixture `shop` has started it already."""
    port = _chromium.free_port()
    server = uvicorn.Server(uvicorn.Config(shop.app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    _chromium.wait_until(lambda: httpx2.get(f"{address}/readyz").is_success)
    yield address
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if not _chromium.find():
        pytest.skip("Chromium or chromedriver is not installed")
    with _chromium.start(tmp_path / "profile") as browser:
        browser.open("about:blank")
        browser.requested_urls()  # its own new-tab page
        yield browser


@pytest.mark.prove
@pytest.mark.chromium
def test_a_person_logs_in_on_docs_and_calls_as_themselves(shop: Shop, shop_address: str, browser: Browser) -> None:
    shop.http.post("/api/v1/users", json={"email": "ada@example.org", "password": PASSWORD})
    browser.open(f"{shop_address}/docs")
    browser.wait("return document.querySelectorAll('.opblock').length")

    browser.click(".btn.authorize")
    browser.wait("return document.querySelector('#oauth_username')")
    browser.type("#oauth_username", "ada@example.org")
    browser.type("#oauth_password", PASSWORD)
    browser.click(".dialog-ux .auth-btn-wrapper .authorize")
    browser.wait("return document.querySelector('.dialog-ux').innerText.includes('Authorized')")
    browser.click(".dialog-ux .btn-done")
    browser.click("[id$=users_read_me] .opblock-summary-control")
    browser.wait("return document.querySelector('[id$=users_read_me] .execute')")
    browser.click("[id$=users_read_me] .execute")

    browser.wait("return document.querySelector('.live-responses-table')?.innerText.includes('ada@example.org')")
    assert _asked_elsewhere(browser, shop_address) == []
    assert _complaints(browser) == []


@pytest.mark.prove
@pytest.mark.chromium
@pytest.mark.parametrize(
    ("page", "drawn"),
    [
        ("/", "return document.querySelector('h1').innerText.includes('Emporium')"),
        ("/docs", "return document.querySelectorAll('.opblock').length >= 2"),
        ("/redoc", "return document.body.innerText.includes('/api/v1/users/me')"),
    ],
)
def test_pages_draw_in_a_browser_and_ask_nobody_else(shop_address: str, browser: Browser, page: str, drawn: str) -> None:
    browser.open(f"{shop_address}{page}")

    browser.wait(drawn)

    assert _asked_elsewhere(browser, shop_address) == []
    assert _complaints(browser) == []


def _asked_elsewhere(browser: Browser, address: str) -> list[str]:
    """What the page asked of anybody but the shop; `data:` and `blob:` addresses leave no computer."""
    urls = [url for url in browser.requested_urls() if urlsplit(url).scheme not in {"data", "blob", "about"}]
    assert any(url.startswith(address) for url in urls)
    return [url for url in urls if not url.startswith(f"{address}/")]


def _complaints(browser: Browser) -> list[str]:
    """Errors in the console; a refusal by the Content-Security-Policy is one."""
    return [entry["message"] for entry in browser.log("browser") if entry["level"] == "SEVERE"]
