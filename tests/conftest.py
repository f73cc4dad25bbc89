"""What every test may ask for."""

pytest_plugins = [
    "tests.database_fixtures",
    "tests.migration_fixtures",
    "tests.shop_fixtures",
    "tests.scenario",
    "tests.meter",
    "tests.planting",
]
