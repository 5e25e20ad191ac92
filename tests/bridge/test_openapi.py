from __future__ import annotations

import re
from typing import Any

import pytest

from pymdc.bridge.app import ROUTES
from pymdc.bridge.openapi import SCHEMAS, Description, describe

from .harness import Running


@pytest.fixture(scope="module")
def document(bridge: Running) -> Any:
    return bridge.http.get("/").json()


def test_every_route_is_described(document: Any) -> None:
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert {"title", "version", "description"} <= set(document["info"])


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: Any) -> None:
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references == set(SCHEMAS)


def test_every_parameter_of_a_path_is_described(document: Any) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_every_kind_of_credentials_is_declared(document: Any) -> None:
    used = {
        name
        for methods in document["paths"].values()
        for operation in methods.values()
        for choice in operation["security"]
        for name in choice
    }
    assert used == set(document["components"]["securitySchemes"])


def test_a_route_may_reply_with_any_object() -> None:
    class Row:
        method, path, about = "GET", "/", Description("Anything", reply="Document")

    reply = describe([Row()], "1", "http://bridge")["paths"]["/"]["get"]["responses"]["200"]
    assert reply["content"]["application/json"]["schema"] == {"type": "object"}
