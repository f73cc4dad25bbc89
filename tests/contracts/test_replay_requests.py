"""The requests that modules write down for the replay: how the file is read, and what is said of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.contracts.gate import Bench
from app.contracts.gates.http import promise
from app.contracts.gates.http.requests import check_requests, filled, read_requests

ANSWERS = {"lamp": {"product_id": 17, "items": [{"sku": "L"}], "colour": None}}
GOOD = '[[request]]\noperation = "catalog_read"\nstatus = 200\n'


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "modules/catalog/contracts"
    folder.mkdir(parents=True)
    (tmp_path / "modules/catalog/__init__.py").touch()
    document = {"paths": {"/things": {"get": {"operationId": "catalog_read"}}}}
    (folder / "http.json").write_text(json.dumps(document))
    return tmp_path


def found(house: Path, text: str) -> list[str]:
    (house / "modules/catalog/contracts/requests.toml").write_text(text)
    return [finding.what for finding in check_requests(Bench(root=house), promise)]


def test_references_stand_for_what_an_answer_says() -> None:
    body = {"id": "$lamp.product_id", "list": ["$lamp.items.0.sku"], "price": "$19.99", "text": "a $lamp.product_id"}

    assert filled(body, ANSWERS) == {"id": 17, "list": ["L"], "price": "$19.99", "text": "a $lamp.product_id"}


@pytest.mark.parametrize("reference", ["$lamp.weight", "$lamp.items.7.sku", "$lamp.colour.name"])
def test_a_reference_to_nothing_is_named(reference: str) -> None:
    with pytest.raises(KeyError, match=r"\$lamp"):
        filled(reference, ANSWERS)


def test_a_request_knows_whose_answers_it_needs(house: Path) -> None:
    text = (
        '[[request]]\noperation = "x"\nstatus = 200\ncaller = "ada"\nat = "order"\n'
        'body = { lines = [{ id = "$lamp.product_id" }] }'
    )
    (house / "modules/catalog/contracts/requests.toml").write_text(text)

    (asked,) = read_requests(house, "catalog")

    assert asked.names() == {"ada", "order", "lamp"}


def test_an_operation_with_a_request_is_in_order(house: Path) -> None:
    assert found(house, GOOD) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "No request of requests.toml is for catalog_read"),
        (GOOD + '[[request]]\noperation = "y"\n', "Entry 2 (y) lacks"),
        (GOOD + "[[request]]\nstatus = 200\n", "Entry 2 (without operation) lacks"),
        (GOOD + 'who = "ada"\n', "Entry 1 (catalog_read) has a field that means nothing here: who"),
        ("[[request", "The file cannot be read: it is no TOML"),
        (GOOD + "[[requests]]\nstatus = 200\n", "it holds requests, and should hold [[request]] alone"),
        ("request = 1\n", "each entry begins with [[request]]"),
    ],
)
def test_what_is_wrong_with_the_file_is_told(house: Path, text: str, says: str) -> None:
    (what,) = found(house, text)

    assert says in what
