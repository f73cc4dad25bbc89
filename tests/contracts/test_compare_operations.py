"""Operations compared, on small documents: what is breaking for clients of a module."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from app.contracts.promises.operations import compare
from app.contracts.promises.promise import Change

Json = dict[str, Any]

PROBLEM: Final[Json] = {"description": "", "content": {"application/problem+json": {"schema": {"type": "object"}}}}
TEXT: Final[Json] = {"application/json": {"schema": {"type": "string"}}}


def document(**more: Any) -> Json:
    """One operation, `GET /things`; `more` goes over what it says."""
    operation = {
        "operationId": "catalog_list_things",
        "security": [{"OAuth2": []}],
        "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "default": 20}}],
        "responses": {"200": {"description": "OK", "content": TEXT}, "404": PROBLEM, "default": PROBLEM},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "catalog", "version": "1"},
        "paths": {"/things": {"get": {**operation, **more}}},
        "components": {"securitySchemes": {"OAuth2": {"type": "oauth2", "flows": {"password": {"tokenUrl": "/token"}}}}},
    }


def changed(**more: Any) -> list[Change]:
    return list(compare(document(), document(**more)))


def breaking(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.rule, change.where) for change in changes if change.breaking]


def parameters(*more: Json) -> list[Json]:
    return [*document()["paths"]["/things"]["get"]["parameters"], *more]


def responses(**more: Any) -> Json:
    return {**document()["paths"]["/things"]["get"]["responses"], **more}


def test_a_document_keeps_its_own_promises() -> None:
    assert changed() == []


def test_an_operation_that_is_gone_is_breaking_and_a_new_one_is_not() -> None:
    bare = document()
    bare["paths"] = {}

    assert breaking(list(compare(document(), bare))) == [("removed-operation", "GET /things")]
    assert breaking(list(compare(bare, document()))) == []


def test_a_moved_operation_is_told_where_it_went() -> None:
    moved = document()
    moved["paths"]["/stuff"] = moved["paths"].pop("/things")

    (gone, _) = compare(document(), moved)

    assert "catalog_list_things is GET /stuff now" in gone.what


class TestParameters:
    def test_one_that_is_gone_is_refused_from_now_on(self) -> None:
        assert breaking(changed(parameters=[])) == [("removed-parameter", "GET /things query parameter limit")]

    def test_a_new_one_is_safe_unless_it_has_to_be_sent(self) -> None:
        assert breaking(changed(parameters=parameters({"name": "q", "in": "query", "schema": {}}))) == []
        required = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {}}
        found = breaking(changed(parameters=parameters(required)))
        assert found == [("new-required-input", "GET /things header Idempotency-Key")]

    def test_another_default_is_another_meaning(self) -> None:
        other = [{"name": "limit", "in": "query", "schema": {"type": "integer", "default": 50}}]
        assert breaking(changed(parameters=other)) == [("changed-default", "GET /things query parameter limit")]

    def test_another_style_is_told_though_no_rule_knows_it(self) -> None:
        other = [{**parameters()[0], "style": "spaceDelimited"}]
        assert breaking(changed(parameters=other)) == [("changed-schema", "GET /things query parameter limit")]

    def test_a_header_is_the_same_in_any_letter_case(self) -> None:
        kept, now = (document(parameters=[{"name": name, "in": "header", "schema": {}}]) for name in ("If-Match", "if-match"))
        assert list(compare(kept, now)) == []

    def test_those_of_a_path_are_those_of_its_operations(self) -> None:
        shared = document(parameters=[])
        shared["paths"]["/things"]["parameters"] = parameters()

        assert list(compare(document(), shared)) == []


class TestWhoMayCall:
    @pytest.mark.parametrize(
        ("kept", "now", "rule"),
        [
            ({"security": []}, {}, "changed-auth"),
            ({}, {"x-roles": ["admin"]}, "changed-auth"),
            ({"x-roles": ["admin", "clerk"]}, {"x-roles": ["admin"]}, "changed-auth"),
            ({"security": [{}, {"OAuth2": []}]}, {"security": []}, "changed-auth"),
            ({}, {"security": []}, "opened-auth"),
            ({}, {"security": [{}, {"OAuth2": []}]}, "opened-auth"),
            ({"x-roles": ["admin"]}, {}, "opened-auth"),
            ({"x-roles": ["admin"]}, {"x-roles": ["admin", "clerk"]}, "opened-auth"),
        ],
    )
    def test_fewer_callers_are_breaking_and_more_are_never_unnoticed(self, kept: Json, now: Json, rule: str) -> None:
        assert breaking(list(compare(document(**kept), document(**now)))) == [(rule, "GET /things")]

    def test_other_roles_are_both(self) -> None:
        found = breaking(list(compare(document(**{"x-roles": ["admin"]}), document(**{"x-roles": ["clerk"]}))))
        assert [rule for rule, _ in found] == ["changed-auth", "opened-auth"]

    def test_a_token_that_counts_where_none_was_looked_at_is_safe(self) -> None:
        kept, now = document(security=[]), document(security=[{}, {"OAuth2": []}])
        assert breaking(list(compare(kept, now))) == []

    def test_another_way_to_log_in_is_breaking(self) -> None:
        now = document()
        now["components"]["securitySchemes"]["OAuth2"]["flows"]["password"]["tokenUrl"] = "/elsewhere"

        assert breaking(list(compare(document(), now))) == [("changed-auth", "log-in OAuth2")]


class TestBodies:
    def test_a_body_that_has_to_be_sent_now(self) -> None:
        body = {"required": True, "content": TEXT}
        assert breaking(changed(requestBody=body)) == [("new-required-input", "GET /things request")]
        assert breaking(changed(requestBody={"content": TEXT})) == []

    def test_a_body_that_is_not_taken_any_more(self) -> None:
        kept = document(requestBody={"content": TEXT})
        assert breaking(list(compare(kept, document()))) == [("removed-input", "GET /things request")]

    def test_a_media_type_that_is_not_taken_any_more(self) -> None:
        kept = document(requestBody={"content": {**TEXT, "text/csv": {}}})
        now = document(requestBody={"content": TEXT})
        assert breaking(list(compare(kept, now))) == [("changed-media-type", "GET /things request")]
        assert breaking(list(compare(now, kept))) == []


class TestAnswers:
    def test_success_is_told_by_the_same_status(self) -> None:
        now = responses()
        now["201"] = now.pop("200")
        assert breaking(changed(responses=now)) == [("changed-status", "GET /things"), ("changed-status", "GET /things")]

    def test_one_more_success_is_one_that_clients_do_not_know(self) -> None:
        assert breaking(changed(responses=responses(**{"202": {"description": ""}}))) == [("changed-status", "GET /things")]

    def test_not_modified_comes_to_those_alone_who_ask_for_it(self) -> None:
        assert breaking(changed(responses=responses(**{"304": {"description": ""}}))) == []

    def test_one_more_problem_is_safe_where_any_was_announced(self) -> None:
        assert breaking(changed(responses=responses(**{"409": PROBLEM}))) == []
        kept, now = responses(), responses(**{"409": PROBLEM})
        del kept["default"], now["default"]
        assert breaking(list(compare(document(responses=kept), document(responses=now)))) == [("changed-status", "GET /things")]

    def test_a_problem_keeps_its_code_and_its_status(self) -> None:
        kept = document(responses=responses(**{"409": {**PROBLEM, "x-problem-codes": ["out-of-stock"]}}))
        gone = document(responses=responses(**{"409": PROBLEM}))
        moved = document(responses=responses(**{"409": PROBLEM, "404": {**PROBLEM, "x-problem-codes": ["out-of-stock"]}}))

        assert breaking(list(compare(kept, gone))) == [("removed-problem-code", "GET /things 409")]
        (change, _) = compare(kept, moved)
        assert change.what == "out-of-stock comes with 404 now."
        assert breaking(list(compare(gone, kept))) == []

    def test_a_header_stays_and_stays_certain(self) -> None:
        def with_etag(required: bool) -> Json:
            headers = {"ETag": {"required": required, "schema": {"type": "string"}}}
            return document(responses=responses(**{"200": {"description": "", "headers": headers, "content": TEXT}}))

        where = [("removed-header", "GET /things 200 ETag")]
        assert breaking(list(compare(with_etag(True), document()))) == where
        assert breaking(list(compare(with_etag(True), with_etag(False)))) == where
        assert breaking(list(compare(with_etag(False), with_etag(True)))) == []

    def test_a_body_where_there_was_none_harms_nobody(self) -> None:
        kept = document(responses=responses(**{"200": {"description": ""}}))
        assert breaking(list(compare(kept, document()))) == []
        assert breaking(list(compare(document(), kept))) == [("changed-media-type", "GET /things 200")]

    def test_what_no_rule_knows_is_told(self) -> None:
        now = responses()
        now["200"] = {**now["200"], "links": {"next": {}}}
        assert breaking(changed(responses=now)) == [("changed-schema", "GET /things 200")]
        assert breaking(changed(servers=[{"url": "/v2"}])) == [("changed-schema", "GET /things")]


def test_a_field_of_many_operations_is_told_once() -> None:
    kept = document()
    kept["components"]["schemas"] = {"Thing": {"type": "object", "properties": {"a": {}}, "required": ["a"]}}
    answer = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
    kept["paths"]["/things"]["get"]["responses"]["200"] = answer
    kept["paths"]["/stuff"] = {"get": {**kept["paths"]["/things"]["get"], "operationId": "catalog_list_stuff"}}
    now = copy.deepcopy(kept)
    now["components"]["schemas"]["Thing"]["properties"] = {}
    now["components"]["schemas"]["Thing"]["required"] = []

    (change,) = compare(kept, now)

    assert (change.rule, change.where) == ("removed-field", "Thing.a in answers")
    assert "(Used at GET /stuff 200.)" in change.what
