"""Violations of the gate `migrations`, each in revisions of their own."""

from __future__ import annotations

from typing import Final

from tests.contracts._migrations_live import LIVE
from tests.contracts._revisions import Planted
from tests.planting import Edit, Planting, Replace, Write

CATALOG_TABLES: Final = "modules/catalog/migrations/2026_11_22_1100_catalog_tables.py"
ORDERING_WHOLE: Final = "modules/ordering/migrations/2026_11_22_1300_whole_life.py"


def _planting(claim: str, rule: str, planted: Planted, where: str = "", says: str = "", fix: str = "") -> Planting:
    """One revision that the static half names."""
    place = planted.at(where) if where else planted.file
    return Planting(claim=claim, rule=f"migrations/{rule}", edits=[planted.write], where=place, says=says, fix=fix)


# ---- one line per module

BRANCHES: Final = [
    _planting(
        "two_revisions_after_the_same_one",
        "branch",
        Planted(module="catalog", revision="fork", down="c41f0a9d7b35"),
        "down_revision",
        "It comes after c41f0a9d7b35, as 2026_11_23_0900_held_reservations.py does: the branch catalog forks here.",
        "the newest revision of catalog",
    ),
    _planting(
        "a_merge",
        "branch",
        Planted(module="catalog", revision="merge", down=("c41f0a9d7b35", "e91b6d3f7c08")),
        "down_revision",
        "It merges c41f0a9d7b35, e91b6d3f7c08",
        "put the revisions it merges one behind the other",
    ),
    _planting(
        "a_second_beginning",
        "branch",
        Planted(module="ordering", revision="base", down=None, labels=("ordering",)),
        "down_revision",
        "It begins the branch ordering a second time",
        "the newest revision of ordering",
    ),
    Planting(
        claim="a_branch_with_another_name",
        rule="migrations/branch",
        edits=[
            Replace(
                file="platform/kernel/migrations/2026_11_22_1000_kernel_tables.py", old='= ("kernel",)', new='= ("platform",)'
            )
        ],
        where="2026_11_22_1000_kernel_tables.py:13",
        says="The first revision of the branch kernel has platform instead of the module's name.",
        fix='Set branch_labels to ("kernel",).',
    ),
    _planting(
        "a_label_in_the_middle",
        "branch",
        Planted(module="users", revision="labelled", labels=("accounts",)),
        "branch_labels",
        "It has the label accounts",
        "Set branch_labels to None",
    ),
    _planting(
        "a_revision_behind_a_neighbours",
        "branch",
        Planted(module="users", revision="behind", down="8d04b7e61f29"),
        "down_revision",
        "It comes after 8d04b7e61f29, which is a revision of catalog",
        "Set down_revision to the newest revision of users",
    ),
    _planting(
        "a_revision_behind_nothing",
        "branch",
        Planted(module="users", revision="lost", down="ffffffffffff"),
        "down_revision",
        "It comes after ffffffffffff, which no file has.",
        "Set down_revision to the newest revision of users",
    ),
    _planting(
        "a_name_given_twice",
        "branch",
        Planted(module="users", revision="a07c51f4e932"),
        "revision =",
        "It bears the same name as",
        "Give it a name of its own",
    ),
    _planting(
        "a_revision_where_alembic_does_not_look",
        "branch",
        Planted(module="catalog", revision="deep", folder="old/"),
        "",
        "lies in no branch's own folder",
        "Move it to modules/<module>/migrations/",
    ),
    Planting(
        claim="a_revision_without_a_readable_name",
        rule="migrations/branch",
        edits=[
            Write(file="modules/users/migrations/2027_nameless.py", text='revision = "".join("ab")\ndown_revision = None\n')
        ],
        where="modules/users/migrations/2027_nameless.py",
        says="It does not say in plain text which revision it is.",
        fix="Give it `revision: str",
    ),
    _planting(
        "a_revision_that_waits_for_a_neighbours",
        "depends-on",
        Planted(module="ordering", revision="waiting", depends_on="e91b6d3f7c08"),
        "depends_on",
        "It depends on e91b6d3f7c08",
        "Set depends_on to None",
    ),
]

# ---- back

BACK: Final = [
    _planting(
        "no_downgrade_at_all",
        "no-downgrade",
        Planted(module="users", revision="oneway", downgrade=None),
        "",
        "It has no downgrade.",
        "Take back what upgrade does",
    ),
    _planting(
        "a_downgrade_that_does_nothing",
        "no-downgrade",
        Planted(module="users", revision="lazy", downgrade='"""Nothing to do."""\nreturn None'),
        "def downgrade",
        "Its downgrade does nothing",
        "Leaves …, because …",
    ),
    _planting(
        "a_downgrade_that_refuses",
        "no-downgrade",
        Planted(module="users", revision="stubborn", downgrade='"""No way back."""\nraise NotImplementedError("no")'),
        "def downgrade",
        "Its downgrade refuses to run",
        "Take back what upgrade does",
    ),
]

# ---- a neighbour's schema


def _trespass(claim: str, revision: str, upgrade: str, where: str, names: str) -> Planting:
    says = f"It names {names}, which is in the schema {names.partition('.')[0]}, not in users's own."
    planted = Planted(module="users", revision=revision, upgrade=upgrade)
    return _planting(claim, "foreign-schema", planted, where, says, "Leave the other schema alone")


NEIGHBOURS: Final = [
    _trespass(
        "an_operation_on_a_neighbours_table",
        "operation",
        'op.add_column("products", sa.Column("liked_by", sa.BigInteger()), schema="catalog")',
        "op.add_column",
        "catalog.products",
    ),
    _trespass(
        "a_foreign_key_to_a_neighbours_table",
        "reference",
        'op.create_foreign_key("fk", "accounts", "orders", ["id"], ["id"], source_schema="users", referent_schema="ordering")',
        "op.create_foreign_key",
        "ordering.orders",
    ),
    _trespass(
        "a_neighbours_table_in_a_text_with_holes",
        "holes",
        """
        for table in ("stock", "products"):
            op.execute(f"ALTER TABLE catalog.{table} ADD liked_by bigint")
        """,
        "op.execute",
        "catalog.stock",
    ),
    _trespass(
        "a_neighbours_schema_in_a_variable",
        "variable",
        """
        schema, table = "cata" + "log", "stock"
        op.execute(sa.text("UPDATE %s.%s SET version = 1" % (schema, table)))
        """,
        "op.execute",
        "catalog.stock",
    ),
    _trespass(
        "a_neighbours_table_when_a_database_is_there",
        "online",
        """
        if not context.is_offline_mode() and not op.get_context().as_sql:
            op.execute('INSERT INTO "ordering"."orders" DEFAULT VALUES')
        """,
        "INSERT INTO",
        "ordering.orders",
    ),
    _trespass(
        "the_schema_that_belongs_to_nobody",
        "nobodys",
        'op.create_table("things", sa.Column("id", sa.BigInteger()), schema="public")',
        "op.create_table",
        "public.things",
    ),
]

# ---- scripts and squawk


def _squawk(claim: str, revision: str, upgrade: str, says: str, fix: str) -> Planting:
    planted = Planted(module="catalog", revision=revision, upgrade=upgrade)
    return _planting(claim, "squawk", planted, "op.", says, fix)


SCRIPTS: Final = [
    _planting(
        "a_revision_that_reads_rows_into_python",
        "script",
        Planted(
            module="users",
            revision="python",
            upgrade="""
            for row in op.get_bind().execute(sa.text("SELECT id FROM users.accounts")):
                op.execute(f"UPDATE users.accounts SET epoch = 2 WHERE id = {row.id}")
            """,
        ),
        "for row in",
        "Its upgrade cannot be written as a script",
        "Say it in SQL",
    ),
    _squawk(
        "an_index_that_is_not_built_concurrently",
        "index",
        'op.create_index("ix_products_name", "products", ["name"], schema="catalog")',
        "`CREATE INDEX ix_products_name ON catalog.products (name);` (require-concurrent-index-creation)",
        "Build it in a revision of its own, in `with op.get_context().autocommit_block():`",
    ),
    _squawk(
        "a_required_column_without_a_default",
        "required",
        'op.add_column("products", sa.Column("colour", sa.Text(), nullable=False), schema="catalog")',
        "(adding-required-field)",
        "Make the field nullable or add a non-VOLATILE DEFAULT",
    ),
    _squawk(
        "a_constraint_that_is_checked_at_once",
        "checked",
        'op.create_check_constraint("ck_x", "products", "price > 1", schema="catalog")',
        "(constraint-missing-not-valid)",
        "Add it NOT VALID, and VALIDATE CONSTRAINT in the next revision",
    ),
    _squawk(
        "a_column_dropped_under_those_who_use_it",
        "dropped",
        '# squawk-ignore ban-drop-table: of another rule\nop.drop_column("products", "description", schema="catalog")',
        "(ban-drop-column)",
        "write `# squawk-ignore ban-drop-column: <why>`",
    ),
    _squawk(
        "a_waiver_without_a_reason",
        "waived",
        '# squawk-ignore renaming-column:\nop.alter_column("products", "name", new_column_name="title", schema="catalog")',
        "(renaming-column)",
        "Add a column beside it",
    ),
    _squawk(
        "a_table_without_its_schema",
        "bare",
        'op.execute("ALTER TABLE products ADD colour text")',
        "(require-table-schema)",
        "schema",
    ),
]

# ---- what was released

_RELEASED: Final[Edit] = Write(
    file="docs/RELEASED.toml",
    text="""at = 2026-12-01
debts = []

[revisions.catalog]
"8d04b7e61f29" = "another checksum"

[revisions.users]
"000000000000" = "of a file that is gone"

[revisions.ordering]
"a4c1e90b7d52" = "of the file before the newcomer"
""",
)


def _released(claim: str, where: str, says: str, fix: str, *edits: Edit) -> Planting:
    edits = (_RELEASED, *edits)
    return Planting(claim=claim, rule="migrations/released-revision", edits=edits, where=where, says=says, fix=fix)


RELEASED: Final = [
    _released(
        "a_released_revision_edited",
        CATALOG_TABLES,
        "The released revision 8d04b7e61f29 has changed",
        f"Restore it (`git checkout <release> -- {CATALOG_TABLES}`) and write the change as a new revision.",
    ),
    _released(
        "a_released_revision_deleted",
        "modules/users/migrations",
        "The released revision 000000000000 of users is gone",
        "Restore its file from the released commit",
    ),
    _released(
        "a_revision_put_in_front_of_a_released_one",
        f"{ORDERING_WHOLE}:11",
        "The released revision a4c1e90b7d52 has got a new predecessor, newcomer",
        "put newcomer after the newest revision",
        Planted(module="ordering", revision="newcomer", down="5f92c3d8a410").write,
        Replace(
            file=ORDERING_WHOLE,
            old='down_revision: str | Sequence[str] | None = "5f92c3d8a410"',
            new='down_revision: str | Sequence[str] | None = "newcomer"',
        ),
    ),
]

PLANTINGS: Final[list[Planting]] = [*BRANCHES, *BACK, *NEIGHBOURS, *SCRIPTS, *RELEASED, *LIVE]
