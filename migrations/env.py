"""The one Alembic environment: every command runs through this file, whether `alembic …` or `emporium db …` calls it.

Around every run: one deployer at a time; roles, schemas and privileges of all branches are in place. Around every revision:
a transaction of its own, and the role that owns the branch. Autogenerate sees one branch.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

from alembic import context
from alembic.operations.ops import MigrationScript, OpContainer
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from app.migrations import Branch, Target, branches, configured_target, dormant_revisions, know_branches
from kernel.database import provisioning
from kernel.database.errors import LOCK_NOT_AVAILABLE, sqlstate
from kernel.database.pooler import shares_its_session
from kernel.database.provisioning import SESSION, RolesUnavailable, first_line, identifier
from kernel.database.tables import SCHEMA as KERNEL

LOCK_KEY = int.from_bytes(b"emporium", "big")

log = logging.getLogger("emporium.migrations")
all_branches: dict[str, Branch] = {branch.name: branch for branch in context.config.attributes.get("branches") or branches()}


def main() -> None:
    set_up_logging()
    know_branches(context.script, list(all_branches.values()))
    if context.is_offline_mode():
        with configured_target(context.config, start=False) as target:
            run_offline(target)
    else:
        with configured_target(context.config) as target:
            run_online(target)


def set_up_logging() -> None:
    """Progress to stderr for plain Alembic; other callers set up logging themselves."""
    if context.config.cmd_opts is not None and not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, format="%(levelname)-5.5s [%(name)s] %(message)s")
        for name in ("alembic.runtime", "alembic.autogenerate", log.name):
            logging.getLogger(name).setLevel(logging.INFO)
        # It prints each failure as well.
        logging.getLogger("alembic.util.messaging").setLevel(logging.CRITICAL)


# ---- online


def run_online(target: Target) -> None:
    engine = create_engine(target.url, poolclass=NullPool, connect_args={"application_name": "emporium migrations"})
    try:
        connection = engine.connect()
    except OperationalError as error:
        where = target.url.render_as_string(hide_password=True)
        raise CommandError(f"Cannot connect to {where}: {first_line(error)}") from error
    with connection:
        migration = configure(connection=connection)
        if not changes_database(migration):
            migration.opts["dont_mutate"] = True
            refuse_unknown_revisions(migration)
            context.run_migrations()
            return
        refuse_shared_session(connection)
        with the_only_deployer(connection, target.lock_wait):
            run_each_as(prepare(connection, target))
            refuse_unknown_revisions(migration)
            # Reading the version table has begun a transaction; every revision begins its own.
            connection.rollback()
            context.run_migrations()


def changes_database(migration: MigrationContext) -> bool:
    """upgrade, downgrade and stamp have a destination; all other commands only look."""
    return "destination_rev" in migration.opts


def refuse_shared_session(connection: Connection) -> None:
    """Lock, role and timeouts of a migration belong to its session: others would go on with them."""
    if shares_its_session(connection):
        where = connection.engine.url.render_as_string(hide_password=True)
        raise CommandError(
            f"{where} leads to a pooler that lends its connections to others between transactions, and a migration needs a"
            " session of its own: set DATABASE_DIRECT_URL (or DATABASE_MIGRATION_URL) to the address of the server itself."
        )


@contextmanager
def the_only_deployer(connection: Connection, patience: float) -> Iterator[None]:
    """Hold the deployers' lock in the migrating session itself, so that both end together.

    Asked for in a loop, each time in a transaction of its own: a session that waits inside `pg_advisory_lock` keeps a
    snapshot, and CREATE INDEX CONCURRENTLY in the running migration would wait for that session for ever.
    """
    deadline = time.monotonic() + patience
    waiting = False
    while not scalar(connection, f"SELECT pg_try_advisory_lock({LOCK_KEY})"):
        if time.monotonic() > deadline:
            raise CommandError(
                f"Another deployer is migrating this database (waited {patience:g} s): try again when it is done."
            )
        if not waiting:
            log.info("Waiting for another deployer, who is migrating this database.")
            waiting = True
        time.sleep(0.1)
    try:
        yield
    finally:
        # On a lost connection the server has let the lock go by itself.
        with suppress(DBAPIError):
            connection.rollback()
            scalar(connection, f"SELECT pg_advisory_unlock({LOCK_KEY})")


def scalar(connection: Connection, sql: str) -> object:
    with connection.begin():
        return connection.exec_driver_sql(sql).scalar()


def prepare(connection: Connection, target: Target) -> Mapping[str, str]:
    """Roles, schemas and privileges of all branches; answers the role that runs each branch's revisions."""
    try:
        with connection.begin():
            for setting in SESSION:
                connection.exec_driver_sql(setting)
            provisioning.require_login(connection, target.application)
            roles = target.use_roles and provisioning.can_use_roles(connection, target.names, tuple(all_branches))
        plan = target.plan(tuple(all_branches), roles=roles)
        with connection.begin():
            ran = provisioning.run(connection, plan.all())
    except RolesUnavailable as error:
        raise CommandError(str(error)) from error
    if plan.names is None:
        log.warning(
            "Without roles: %s may not create them and there are none, so the schemas belong to it and nothing but"
            " discipline keeps the modules apart (`emporium db roles --sql` is for the administrator).",
            target.migrator,
        )
    elif ran:
        log.info("Prepared roles, schemas and privileges: %d statements.", len(ran))
    return plan.owners()


def refuse_unknown_revisions(migration: MigrationContext) -> None:
    known = {script.revision for script in context.script.walk_revisions()}
    unknown = sorted(set(migration.get_current_heads()) - known)
    if unknown and not migration.purge:
        raise CommandError(
            f"The database is at revision {', '.join(unknown)}, which this code does not have: a newer release, or a module"
            " that is not installed here, has migrated it."
        )


# ---- offline: `--sql` writes a script


def run_offline(target: Target) -> None:
    """The same statements as text; whether a role or schema is there already is asked in the script itself.

    What is for a superuser alone is left to `emporium db roles --sql`.
    `-x roles=off` writes the script for a login that works without roles.
    """
    roles = target.use_roles and context.get_x_argument(as_dictionary=True).get("roles") != "off"
    plan = target.plan(tuple(all_branches), roles=roles)
    # `named`: the driver's own style would double every `%`.
    configure(url=target.url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    statements = [*SESSION, "BEGIN", *(step.guarded() for step in [*plan.roles(), *plan.schemas()]), "COMMIT"]
    for statement in statements:
        context.static_output(f"{statement};\n")
    run_each_as(plan.owners())
    context.run_migrations()


# ---- around each revision


def configure(**where: Any) -> MigrationContext:
    context.configure(
        **where,
        target_metadata=[branch.metadata for branch in all_branches.values()],
        version_table=provisioning.VERSION_TABLE,
        version_table_schema=KERNEL,
        include_schemas=True,
        include_name=lambda name, type_, _: type_ != "schema" or name in all_branches,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        transaction_per_migration=True,
    )
    migration = context.get_context()
    look_away_from(migration, dormant_revisions())
    refuse_ambiguous_step(migration.opts.get("destination_rev"))
    if "revision_context" in migration.opts:
        limit_autogenerate(migration)
    return migration


def look_away_from(migration: MigrationContext, dormant: Collection[str]) -> None:
    """Branches of modules that are switched off stay as they are in the database: Alembic does not know their revisions."""
    if dormant:
        current = migration.get_current_heads
        found = lambda: tuple(revision for revision in current() if revision not in dormant)  # noqa: E731
        migration.get_current_heads = found  # type: ignore[method-assign]  # Alembic asks nobody else


def refuse_ambiguous_step(destination: object) -> None:
    """Alembic would take `downgrade -1` for whichever branch it comes to first."""
    if isinstance(destination, str) and re.fullmatch(r"[+-]\d+", destination):
        choices = ", ".join(f"{name}@{destination}" for name in all_branches)
        raise CommandError(f"`{destination}` does not say which branch: type one of {choices}.")


def run_each_as(owners: Mapping[str, str]) -> None:
    for script in context.script.walk_revisions():
        branch = next((label for label in script.branch_labels if label in all_branches), None)
        if branch is None:
            raise CommandError(f"{script.path} is in no module's branch; its branch's first revision needs branch_labels.")
        for name in ("upgrade", "downgrade"):
            revision = getattr(script.module, name)
            setattr(script.module, name, as_role(revision, owners.get(branch), f"{branch} {script.revision}"))


def as_role(run: Callable[..., None], role: str | None, label: str) -> Callable[..., None]:
    """For the session, not LOCAL: it has to survive an `autocommit_block`."""

    @wraps(run)
    def run_as_role(**arguments: Any) -> None:
        if role is not None:
            context.execute(f"SET ROLE {identifier(role)}")
        try:
            run(**arguments)
        except DBAPIError as error:
            busy = " The table is in use; try again." if sqlstate(error) == LOCK_NOT_AVAILABLE else ""
            raise CommandError(f"{run.__name__} of {label} failed: {first_line(error)}.{busy}") from error
        if role is not None:
            context.execute("RESET ROLE")

    return run_as_role


# ---- autogenerate


def limit_autogenerate(migration: MigrationContext) -> None:
    """`check` compares every branch; `revision --autogenerate` the one that it is asked for."""
    if migration.opts["fn"].__qualname__.startswith("check."):
        wanted = list(all_branches.values())
    else:
        wanted = [asked_branch(migration.opts["revision_context"].command_args["head"])]
        migration.opts["process_revision_directives"] = stay_in(wanted[0])
    migration.opts["target_metadata"] = [branch.metadata for branch in wanted]
    names = {branch.name for branch in wanted}
    migration.opts["include_name"] = lambda name, type_, _: type_ != "schema" or name in names
    strangers = [stranger for branch in wanted for stranger in branch.strangers()]
    if strangers:
        raise CommandError(f"A module's tables and keys stay in its own schema: {', '.join(strangers)}.")


def asked_branch(head: str | None) -> Branch:
    label = (head or "").rpartition("@")[0]
    if label in all_branches:
        return all_branches[label]
    choices = ", ".join(f"{name}@head" for name in all_branches)
    raise CommandError(f"A revision belongs to one module: say which by --head, one of {choices}.")


def stay_in(branch: Branch) -> Callable[[MigrationContext, object, list[MigrationScript]], None]:
    def process(_: MigrationContext, __: object, directives: list[MigrationScript]) -> None:
        script = directives[0]
        if script.upgrade_ops is None or script.upgrade_ops.is_empty():
            log.warning("The models and the migrations of %s agree: there is nothing to write.", branch.name)
            directives.clear()
            return
        outside = set(schemas_of(script.upgrade_ops)) - {branch.name}
        if outside:
            raise CommandError(f"A revision of {branch.name} would touch {', '.join(sorted(map(str, outside)))}.")
        if not any(branch.name in found.branch_labels for found in context.script.walk_revisions()):
            script.head, script.branch_label, script.version_path = "base", branch.name, str(branch.folder)

    return process


def schemas_of(operations: OpContainer) -> Iterator[str | None]:
    for operation in operations.ops:
        if isinstance(operation, OpContainer):
            yield from schemas_of(operation)
        yield getattr(operation, "schema", None)


main()
