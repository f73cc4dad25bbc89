"""The OpenAPI document: it says what is really answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from tests.kernel.http_app import open_shop
from tests.kernel.http_stall import Ware, WareBody, build_router, make_ware

from kernel.http.access import SIGNED_IN
from kernel.http.documents import Described
from kernel.http.fields import Identifier
from kernel.http.routes import Router
from kernel.pure.errors import DomainError
from kernel.pure.values import Page


@pytest.fixture(scope="module")
def document() -> Iterator[dict[str, Any]]:
    with open_shop(build_router()) as shop:
        yield shop.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_operation_ids_are_module_verb_noun(document: dict[str, Any]) -> None:
    ids = {name: operation["operationId"] for name, operation in operations(document)}
    assert ids["get /api/v1/wares/{ware_id}"] == "stall_read_ware"
    assert ids["post /api/v1/wares"] == "stall_create_ware"
    assert len(set(ids.values())) == len(ids)


def test_every_error_answer_is_the_one_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if not status.startswith(("2", "3")):
                content = response["content"]
                assert list(content) == ["application/problem+json"], (name, status)
                assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "Problem" in document["components"]["schemas"]


def test_an_operation_names_the_problems_to_expect(document: dict[str, Any]) -> None:
    create = document["paths"]["/api/v1/wares"]["post"]
    assert set(create["responses"]) == {"201", "400", "401", "403", "409", "413", "415", "422", "default"}
    assert "role `admin`" in create["description"]
    example = create["responses"]["409"]["content"]["application/problem+json"]["examples"]["sold-out"]["value"]
    assert example["type"] == "urn:emporium:problem:sold-out"
    read = document["paths"]["/api/v1/wares/{ware_id}"]["get"]
    assert set(read["responses"]) == {"200", "304", "400", "404", "default"}
    assert "ware-not-found" in read["responses"]["404"]["content"]["application/problem+json"]["examples"]


def test_a_guarded_change_names_the_refusal_of_another_version(document: dict[str, Any]) -> None:
    change = document["paths"]["/api/v1/wares/{ware_id}"]["patch"]["responses"]
    assert {"412", "413", "415", "422"} <= set(change)


def test_a_post_without_a_body_names_no_problems_of_bodies() -> None:
    router = Router(module="stall", prefix="/api/v1/wares")

    @router.post("/{ware_id}/hide", allow=SIGNED_IN)
    def hide_ware(ware_id: Identifier) -> None:
        """Off the stall."""

    with open_shop(router) as shop:
        responses = shop.get("/openapi.json").json()["paths"]["/api/v1/wares/{ware_id}/hide"]["post"]["responses"]
    assert set(responses) == {"204", "400", "401", "404", "default"}


def test_names_of_schemas_are_fit_for_classes(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["WarePage"]["title"] == "WarePage"
    assert not [name for name in schemas if "Annotated" in name]


def test_an_id_in_a_path_has_its_bounds(document: dict[str, Any]) -> None:
    parameter = document["paths"]["/api/v1/wares/{ware_id}"]["get"]["parameters"][0]
    assert (parameter["schema"]["minimum"], parameter["schema"]["maximum"]) == (1, 2**63 - 1)
    assert not {"ge", "le"} & set(parameter["schema"])


def test_log_in_works_from_the_documentation(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["OAuth2"]["flows"]["password"]["tokenUrl"] == "/api/v1/auth/token"
    paths = document["paths"]
    assert paths["/api/v1/wares"]["post"]["security"] == [{"OAuth2": []}]
    assert paths["/api/v1/wares/me/name"]["get"]["security"] == [{}, {"OAuth2": []}]
    assert "security" not in paths["/api/v1/wares"]["get"]


def test_what_the_route_fills_in_is_not_asked_of_clients(document: dict[str, Any]) -> None:
    assert "parameters" not in document["paths"]["/api/v1/wares"]["post"]
    query = {parameter["name"] for parameter in document["paths"]["/api/v1/wares"]["get"]["parameters"]}
    assert query == {"limit", "cursor", "q", "min_price", "kind", "sort"}


def test_bodies_are_described_with_an_example(document: dict[str, Any]) -> None:
    ware = document["components"]["schemas"]["Ware"]
    assert ware["examples"] == [{"id": 1, "name": "Apple", "price": "0.30"}]
    assert ware["properties"]["price"]["description"] == "In the stall's currency."
    assert document["components"]["schemas"]["Label"]["properties"]["words"]["description"] == "For people."
    answer = document["paths"]["/api/v1/wares/{ware_id}"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/Ware"}


def test_the_document_says_how_paths_look(document: dict[str, Any]) -> None:
    assert "/api/v1/wares" in document["paths"]
    assert not [path for path in document["paths"] if path.endswith("/")]


def test_an_operation_without_a_body_answers_204(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/v1/wares/{ware_id}"]["delete"]["responses"]
    assert "content" not in responses["204"]
    assert "200" not in responses


def test_a_described_dto_is_serialised_as_it_is() -> None:
    page = TypeAdapter(Page[WareBody]).dump_json(Page(items=(make_ware(7),), next_cursor="x"))
    assert b'"price":"7.00","kind":"fruit","labels":[{"language":"en","words":"fresh"}]' in page
    assert b'"created_at":"2026-01-01T00:00:00Z"' in page
    assert page.endswith(b'"next_cursor":"x"}')


def test_a_description_of_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="'colour'"):
        TypeAdapter(Annotated[Ware, Described(fields={"colour": "…"})]).json_schema(mode="serialization")


def test_an_error_without_a_status_cannot_be_documented() -> None:
    class Odd(DomainError):
        code = "odd"

    router = Router(module="stall", prefix="/api/v1")
    router.get("/x", allow=SIGNED_IN, errors=[Odd])(lambda: None)
    router.declarations[0].endpoint.__annotations__["return"] = None
    with pytest.raises(TypeError, match="Odd is of no kind"), open_shop(router):
        pass


def test_two_applications_document_themselves() -> None:
    with open_shop(build_router()) as one, open_shop() as two:
        assert "/api/v1/wares" in one.get("/openapi.json").json()["paths"]
        assert two.get("/openapi.json").json()["paths"] == {}
