"""Violations of the gate `migrations` that only a database shows: one chain of revisions, planted as a whole each time."""

from __future__ import annotations

from typing import Final

from tests.contracts._revisions import Planted, chain, sql
from tests.planting import Edit, Planting, Replace

_BESIDE: Final = """
with op.get_context().autocommit_block():
    op.{what}_index("{name}", "accounts", {columns}schema="users", postgresql_concurrently=True{more})
"""


def _concurrently(what: str, name: str, more: str = "") -> str:
    columns = '["epoch"], ' if what == "create" else ""
    return _BESIDE.format(what=what, name=name, columns=columns, more=more)


(
    SLOW,
    FICKLE,
    COMMITTING,
    MIXED,
    ONCE,
    UNKNOWN,
    EXPANDING,
    VALIDATING,
    INDEXING,
    PICKY,
) = CHAIN = chain(
    "users",
    # Keeps everybody waiting three times, and cannot be taken back in three ways.
    Planted(
        module="users",
        revision="p01_slow",
        upgrade=sql(
            "CREATE TABLE users.things (id bigint PRIMARY KEY, word text)",
            "CREATE SEQUENCE users.turns",
            "CREATE INDEX IF NOT EXISTS ix_left ON users.accounts (full_name)",
            "ALTER TABLE users.token_families ALTER generation TYPE numeric",
            "ALTER TABLE users.role_grants ADD CONSTRAINT positive CHECK (user_id > 0)",
        ),
        downgrade=sql(
            "ALTER TABLE users.role_grants DROP CONSTRAINT positive, DROP granted_at",
            "ALTER TABLE users.token_families ALTER generation TYPE bigint",
            "DELETE FROM users.token_families WHERE generation = 1",
            "DROP SEQUENCE users.turns",
            "DROP TABLE users.things",
        ),
    ),
    # Another one each time that it runs, and where there is a catalog.
    Planted(
        module="users",
        revision="p02_fickle",
        upgrade=sql(
            "DO $$ BEGIN EXECUTE format('ALTER TABLE users.things ADD turn%s int', nextval('users.turns')); END $$",
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'catalog') THEN"
            " ALTER TABLE users.things ADD liked int; END IF; END $$",
        ),
        downgrade=sql(
            "DO $$ BEGIN EXECUTE format('ALTER TABLE users.things DROP turn%s, DROP IF EXISTS liked',"
            " (SELECT last_value FROM users.turns)); END $$"
        ),
    ),
    Planted(
        module="users",
        revision="p03_committing",
        upgrade=sql("ALTER TABLE users.things ADD half int", "COMMIT", "ALTER TABLE users.things ADD whole int"),
        downgrade=sql("ALTER TABLE users.things DROP half, DROP whole"),
    ),
    Planted(
        module="users",
        revision="p04_mixed",
        upgrade=sql("ALTER TABLE users.things ADD IF NOT EXISTS mixed int")
        + _concurrently("create", "ix_mixed", ", if_not_exists=True"),
        downgrade=sql("DROP INDEX users.ix_mixed", "ALTER TABLE users.things DROP mixed"),
    ),
    Planted(
        module="users",
        revision="p05_once",
        upgrade=_concurrently("create", "ix_once"),
        downgrade=sql("DROP INDEX users.ix_once"),
    ),
    # A trigger and a grant that no model knows; its downgrade misspells a name.
    Planted(
        module="users",
        revision="p06_unknown",
        upgrade=sql(
            "CREATE FUNCTION users.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            "CREATE TRIGGER note BEFORE INSERT ON users.accounts FOR EACH ROW EXECUTE FUNCTION users.note()",
            "GRANT SELECT ON users.role_grants TO PUBLIC",
        ),
        downgrade=sql("DROP TRIGGER noet ON users.accounts", "DROP FUNCTION users.note()"),
    ),
    # As it should be: expand, validate, index.
    Planted(
        module="users",
        revision="p07_expanding",
        upgrade=sql(
            "ALTER TABLE users.accounts ADD weight int NOT NULL DEFAULT 1",
            "ALTER TABLE users.accounts ADD CONSTRAINT heavy CHECK (weight > 0) NOT VALID",
        ),
        downgrade=sql("ALTER TABLE users.accounts DROP weight"),
    ),
    Planted(
        module="users",
        revision="p08_validating",
        upgrade=sql(
            "UPDATE users.accounts SET weight = 1 WHERE weight < 1",
            "ALTER TABLE users.accounts VALIDATE CONSTRAINT heavy",
        ),
        downgrade='"""Leaves the constraint valid, because it is true of what the old code writes, too."""',
    ),
    Planted(
        module="users",
        revision="p09_indexing",
        upgrade=_concurrently("drop", "ix_beside", ", if_exists=True") + _concurrently("create", "ix_beside"),
        downgrade=_concurrently("drop", "ix_beside", ", if_exists=True"),
    ),
    Planted(
        module="users",
        revision="p10_picky",
        upgrade=sql("ALTER TABLE users.things ADD demand int NOT NULL"),
        downgrade=sql("ALTER TABLE users.things DROP demand"),
    ),
)
ALLOWED: Final = (EXPANDING, VALIDATING, INDEXING)
_CHECK: Final = "CASE WHEN closed_at IS NULL THEN email IS NOT NULL AND password_hash IS NOT NULL"


def _live(claim: str, rule: str, where: str, says: str, fix: str, *edits: Edit) -> Planting:
    return Planting(
        claim=claim,
        rule=f"migrations/{rule}",
        edits=[*(planted.write for planted in CHAIN), *edits],
        where=where,
        says=says,
        fix=fix,
        live=True,
        arguments=("--module", "users"),
    )


LIVE: Final = [
    _live(
        "writers_wait_for_an_index",
        "blocks",
        SLOW.at("CREATE INDEX"),
        "It holds ShareLock on users.accounts while it reads all of it",
        "Build the index CONCURRENTLY in a revision of its own",
    ),
    _live(
        "writers_wait_for_a_new_type",
        "blocks",
        SLOW.at("TYPE numeric"),
        "AccessExclusiveLock, ShareLock on users.token_families",
        "Add beside what is there instead of rewriting it",
    ),
    _live(
        "writers_wait_for_a_constraint",
        "blocks",
        SLOW.at("ADD CONSTRAINT"),
        "AccessExclusiveLock on users.role_grants",
        "Add the constraint NOT VALID",
    ),
    _live(
        "a_downgrade_that_leaves_something",
        "not-reversible",
        SLOW.at("def downgrade"),
        "Its downgrade leaves the index ix_left of users.accounts.",
        "Take back all that upgrade does and nothing else",
    ),
    _live(
        "a_downgrade_that_loses_a_column",
        "not-reversible",
        SLOW.at("def downgrade"),
        "Its downgrade does not give back the column granted_at of users.role_grants.",
        "Take back all that upgrade does and nothing else",
    ),
    _live(
        "a_downgrade_that_loses_rows",
        "not-reversible",
        SLOW.at("def downgrade"),
        "The rows of users.token_families are not what they were",
        "Keep every row and value that was there",
    ),
    _live(
        "a_downgrade_that_fails",
        "not-reversible",
        UNKNOWN.at("noet"),
        'Its downgrade fails on tables with rows: trigger "noet" for table "accounts" does not exist.',
        "Take back all that upgrade does and nothing else",
    ),
    _live(
        "a_second_upgrade_that_makes_something_else",
        "second-upgrade",
        FICKLE.at("def upgrade"),
        "The second upgrade makes something else than the first: the column turn",
        "Let downgrade leave nothing that upgrade trips over",
    ),
    _live(
        "an_upgrade_that_looks_whether_a_neighbour_is_there",
        "order",
        FICKLE.at("def upgrade"),
        "it ends otherwise after kernel and catalog: there is a column liked of users.things.",
        "Let it do the same wherever it runs",
    ),
    _live(
        "an_error_after_a_commit_leaves_half_of_it",
        "atomic",
        COMMITTING.file,
        "An error in the middle of its upgrade leaves something behind: column half of users.things is there",
        "Leave BEGIN, COMMIT and connections of its own out of the revision",
    ),
    _live(
        "an_autocommit_step_among_others",
        "autocommit-step",
        MIXED.at("ADD IF NOT EXISTS"),
        "Its upgrade has an autocommit step and does other things as well",
        "Give it a revision of its own",
    ),
    _live(
        "an_index_left_invalid_and_kept",
        "autocommit-step",
        MIXED.at("create_index"),
        "is broken off, another try leaves the index ix_mixed INVALID",
        "in front of each op.create_index",
    ),
    _live(
        "an_index_that_is_in_its_own_way",
        "autocommit-step",
        ONCE.at("create_index"),
        'another try fails: upgrade of users p05_once failed: relation "ix_once" already exists.',
        "Let every statement of it be one that can be repeated",
    ),
    _live(
        "a_column_that_old_rows_cannot_have",
        "fails-on-rows",
        PICKY.at("demand int NOT NULL"),
        'It cannot go up on tables with rows: column "demand" of relation "things" contains null values.',
        "Give new columns a constant default",
    ),
    _live(
        "a_table_that_no_model_has",
        "drift",
        "users.things",
        "Alembic would remove table: users.things.",
        'emporium db revision users -m "…"',
    ),
    _live(
        "a_trigger_that_no_model_declares",
        "catalogue-drift",
        "users.accounts",
        "The revisions make the trigger note of users.accounts, which the models do not declare: CREATE TRIGGER note BEFORE",
        "kernel.database.types.declare",
    ),
    _live(
        "a_function_that_no_model_declares",
        "catalogue-drift",
        "users.note()",
        "The revisions make the function users.note(), which the models do not declare",
        "kernel.database.types.declare",
    ),
    _live(
        "a_grant_that_no_model_knows",
        "catalogue-drift",
        "users.role_grants",
        "The models and the revisions differ in the rights on users.role_grants: owner",
        "Say it on both sides",
    ),
    _live(
        "a_check_of_the_same_name_with_another_text",
        "catalogue-drift",
        "users.accounts",
        "The models and the revisions differ in the check ck_accounts_closed_is_erased of users.accounts: CHECK",
        "Say it on both sides",
        Replace(file="modules/users/models.py", old=_CHECK, new=_CHECK.replace(" AND ", " OR ")),
    ),
    Planting(
        claim="postgresql_refuses_a_neighbours_table",
        rule="migrations/foreign-schema",
        edits=[
            (
                HIDDEN := Planted(
                    module="users",
                    revision="hidden",
                    upgrade=sql("DO $$ BEGIN EXECUTE 'ALTER TABLE cata' || 'log.products ADD mine text'; END $$"),
                )
            ).write
        ],
        where=HIDDEN.at("EXECUTE"),
        says="PostgreSQL refuses it to the owner of users: permission denied for schema catalog.",
        fix="Leave the other schema alone",
        live=True,
        alone=True,
        arguments=("--module", "users"),
    ),
]
