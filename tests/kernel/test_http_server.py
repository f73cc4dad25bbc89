"""The HTTP layer behind the real server: what only sockets show."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from tests.kernel.http_app import assert_problem, open_shop
from tests.kernel.http_stall import build_router

POST = b"POST /api/v1/wares/anything HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with open_shop(build_router()) as shop:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(shop.app, http="httptools", log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as client:
        yield client


def talk(address: tuple[str, int], request: bytes) -> bytes:
    """What the server says until it hangs up."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_ten_megabytes_are_refused_without_being_sent(address: tuple[str, int]) -> None:
    answer = talk(address, POST + b"Content-Length: 10485760\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_an_endless_stream_is_cut_off(address: tuple[str, int]) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert talk(address, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17).startswith(b"HTTP/1.1 413 ")


def test_head_answers_as_get_without_a_body(client: httpx.Client) -> None:
    got, head = client.get("/api/v1/wares/1"), client.head("/api/v1/wares/1")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


def test_a_connection_survives_refusals(client: httpx.Client) -> None:
    for _ in range(3):
        assert_problem(client.get("/api/v1/nowhere"), 404)
        assert_problem(client.post("/api/v1/wares/anything", content=b"{", headers={"content-type": "application/json"}), 400)
        assert_problem(client.post("/api/v1/wares", content=b"x" * 100_000), 401)
        assert client.get("/api/v1/wares/1").status_code == 200
        assert client.request("DELETE", "/api/v1/wares/1", headers={"authorization": "Bearer x"}).status_code == 401


def test_answers_without_a_body_leave_the_connection_in_step(client: httpx.Client) -> None:
    for _ in range(3):
        assert client.get("/api/v1/wares/1", headers={"if-none-match": "*"}).status_code == 304
        assert client.get("/api/v1/wares/2").json()["id"] == 2


def test_a_client_that_hangs_up_in_its_body_harms_nobody(address: tuple[str, int], client: httpx.Client) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
    assert client.get("/api/v1/wares/1").status_code == 200
