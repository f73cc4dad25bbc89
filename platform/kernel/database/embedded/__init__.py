"""The embedded PostgreSQL: a real server of our own under the data directory, for development and tests."""

from kernel.database.embedded.provision import harden, hardening
from kernel.database.embedded.reasons import EmbeddedPostgresError
from kernel.database.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "harden", "hardening"]
