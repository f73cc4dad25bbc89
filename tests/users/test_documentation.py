"""What the API says of the routes of users."""

from __future__ import annotations

from tests.shop_fixtures import Shop


def test_the_api_describes_every_route_of_users(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()

    operations = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        if path.startswith(("/api/v1/users", "/api/v1/auth"))
        for operation in methods.values()
    }
    assert len(operations) == 18
    assert all(name.startswith("users_") for name in operations)
    assert "password_hash" not in str(document)
