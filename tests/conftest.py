"""What every test may ask for."""

import gc

pytest_plugins = [
    "tests.database_fixtures",
    "tests.migration_fixtures",
    "tests.shop_fixtures",
    "tests.scenario",
    "tests.meter",
    "tests.planting",
]


def pytest_collection_finish() -> None:
    """What was imported and collected stays; to look through it for garbage at every turn takes a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(8_000, 10, 20)
