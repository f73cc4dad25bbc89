"""Violations of the gate `wiring`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.planting import Append, Edit, Planting, Replace, Write

USERS: Final = "modules/users/container.py"
CATALOG: Final = "modules/catalog/container.py"
ORDERING: Final = "modules/ordering/container.py"


def _planted(
    claim: str,
    rule: str,
    edits: Edit | Sequence[Edit],
    where: str,
    says: str,
    fix: str,
    *,
    alone: bool = False,
    arguments: Sequence[str] = (),
) -> Planting:
    listed = edits if isinstance(edits, Sequence) else [edits]
    rule = f"wiring/{rule}"
    return Planting(claim=claim, rule=rule, edits=listed, where=where, says=says, fix=fix, alone=alone, arguments=arguments)


SOUND: Final = ("--module", "catalog", "--module", "ordering", "--module", "users")
"""Those that look at modules whose containers are sound go together: other words of the command, another copy."""


def _line(file: str, code: str) -> Edit:
    """One line more in the container, which is the last thing in its file."""
    return Append(file=file, text=f"    {code}")


_CONTAINERS: Final = [
    _planted(
        "a_container_that_asks_for_what_nobody_supplies_is_refused",
        "unbound-provider",
        _line(USERS, "datebase = providers.Dependency()"),
        f"{USERS}:",
        "The container of users asks for datebase, which nobody supplies",
        "or to one of access_tokens, clock, database",
    ),
    _planted(
        "a_dependency_without_a_name_is_refused",
        "unbound-provider",
        _line(CATALOG, "service.add_kwargs(planted=providers.Dependency())"),
        f"{CATALOG}:",
        "a Dependency that has no name in the container",
        "Give it the name of what it stands for",
    ),
    _planted(
        "a_part_that_nothing_is_made_of_is_refused",
        "unused-provider",
        _line(USERS, "planted = providers.Singleton(dict, settings=settings)"),
        f"{USERS}:",
        "The container of users makes planted, and neither service nor router gets it",
        "Delete the line, or pass planted",
    ),
    _planted(
        "a_dependency_that_nothing_gets_is_refused",
        "unused-provider",
        _line(CATALOG, "principals = providers.Dependency()"),
        f"{CATALOG}:",
        "The container of catalog asks for principals, and neither service nor router gets it",
        "pass principals to what needs it",
    ),
    _planted(
        "a_neighbour_that_is_not_listed_in_needs_is_refused",
        "undeclared-need",
        _line(CATALOG, "users = providers.Dependency()"),
        f"{CATALOG}:",
        "asks for users, a module that it does not need",
        "Add it to `needs`",
    ),
    _planted(
        "a_need_that_the_container_does_not_ask_for_is_refused",
        "unasked-need",
        Replace(file="modules/users/module.py", old="offers=UsersService,", new='offers=UsersService, needs=("catalog",),'),
        "modules/users/module.py:",
        "lists catalog in `needs`, but its container does not ask for it",
        "Declare a providers.Dependency of that name",
    ),
    _planted(
        "a_part_of_the_kernel_is_asked_for_as_what_it_is",
        "wrong-type",
        Replace(
            file=USERS,
            old="clock = providers.Dependency(instance_of=Clock)",
            new="clock = providers.Dependency(instance_of=dict)",
        ),
        f"{USERS}:",
        "asks for clock as dict, and it is a Clock",
        "Write `clock = providers.Dependency(instance_of=Clock)`",
    ),
    _planted(
        "a_part_without_a_type_is_refused",
        "wrong-type",
        Replace(file=CATALOG, old="events = providers.Dependency(instance_of=Events)", new="events = providers.Dependency()"),
        f"{CATALOG}:",
        "asks for events as nothing in particular",
        "instance_of=Events",
    ),
    _planted(
        "a_neighbour_is_asked_for_as_what_it_offers",
        "wrong-type",
        Replace(file=ORDERING, old="instance_of=CatalogService", new="instance_of=Events"),
        f"{ORDERING}:",
        "The container of ordering asks for catalog as Events, and catalog offers CatalogService",
        "a Protocol of catalog.interface that catalog offers",
    ),
    _planted(
        "a_container_without_a_router_is_refused",
        "missing-provider",
        Replace(file=ORDERING, old="    router = providers.", new="    routes = providers."),
        f"{ORDERING}:",
        "The container of ordering provides no `router`",
        "Add `router = providers.Singleton(...)`",
    ),
    _planted(
        "a_service_that_lacks_a_method_of_what_is_offered_is_refused",
        "not-offered",
        Replace(
            file=CATALOG,
            old="    service = providers.Singleton(\n        DatabaseCatalogService,",
            new="    service = providers.Singleton(\n        type('Mute', (), {'reserve': None}),",
        ),
        f"{CATALOG}:",
        "The service of catalog is a Mute, which has no confirm, release, restock of CatalogService",
        "inherit CatalogService",
    ),
]
_DISTRIBUTION: Final = [
    Write(file="modules/planted-1.0.dist-info/METADATA", text="Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n"),
    Write(
        file="modules/planted-1.0.dist-info/entry_points.txt",
        text="[emporium.modules]\ncatalog = users.module:module\n",
    ),
]
_DESCRIPTIONS: Final = [
    _planted(
        "two_modules_of_one_name_are_refused",
        "module-name",
        _DISTRIBUTION,
        "modules/catalog/module.py",
        "There are two modules named catalog: an installed distribution brings users",
        "uninstall the distribution",
    ),
    _planted(
        "a_need_that_does_not_exist_is_refused",
        "missing-need",
        Replace(file="modules/ordering/module.py", old='needs=("catalog",)', new='needs=("catalog", "catalogue")'),
        "modules/ordering/module.py:",
        "ordering needs catalogue, and there is no such module",
        "Correct the name in `needs`",
    ),
    _planted(
        "modules_that_need_each_other_are_refused",
        "missing-need",
        Replace(
            file="modules/catalog/module.py", old="offers=CatalogService,", new='offers=CatalogService, needs=("ordering",),'
        ),
        "modules/catalog/module.py:",
        "The modules catalog, ordering need each other in a circle",
        "what flows back up is an event",
    ),
    _planted(
        "a_module_that_is_named_otherwise_than_its_folder_is_refused",
        "module-name",
        Replace(file="modules/users/module.py", old='name="users"', new='name="accounts"'),
        "modules/users/module.py:",
        "The module in the folder users is named accounts",
        'Write name="users"',
        alone=True,
    ),
]
_BUILT: Final = [
    _planted(
        "a_service_that_cannot_be_made_is_refused",
        "unbuildable",
        Replace(file=USERS, old="        clock=clock,\n        principals", new="        clocks=clock,\n        principals"),
        f"{USERS}:",
        "The service or router of users cannot be made: TypeError: ",
        "`emporium modules` builds everything, too",
        arguments=SOUND,
    ),
]
_LISTENERS: Final = [
    _planted(
        "a_job_of_another_name_is_refused",
        "job",
        Replace(file="modules/catalog/module.py", old='name="catalog.release_expired"', new='name="ordering.release_expired"'),
        "modules/catalog/module.py:",
        "The job ordering.release_expired of catalog must be named catalog.<what it does>",
        "in `jobs` of modules/catalog/module.py",
        arguments=SOUND,
    ),
    _planted(
        "a_listener_of_another_name_is_refused",
        "listener",
        Replace(file="modules/ordering/listeners.py", old='name="ordering.forget', new='name="users.forget'),
        "modules/ordering/listeners.py",
        "The listener users.forget_closed_accounts of ordering must be named ordering.<what it does>",
        "Mend it in the listeners of ordering",
        arguments=SOUND,
    ),
]
_PARTS: Final = [
    Planting(
        claim="a_module_that_counts_on_a_neighbour_that_it_does_not_need_is_refused",
        rule="wiring/subset",
        edits=[
            Append(
                file="modules/users/service/__init__.py",
                text="def count_on_the_catalog(service: DatabaseUsersService) -> None:\n"
                "    with service._database.read() as connection:\n"
                "        statement = \"SELECT FROM pg_namespace WHERE nspname = 'catalog'\"\n"
                "        if not connection.exec_driver_sql(statement).rowcount:\n"
                '            raise LookupError("There is no catalog.")',
            ),
            Replace(
                file="modules/users/module.py",
                old="from users.settings import",
                new="from users.service import count_on_the_catalog\nfrom users.settings import",
            ),
            Replace(
                file="modules/users/module.py",
                old="    bootstrap=bootstrap,",
                new="    bootstrap=bootstrap,\n    on_start=count_on_the_catalog,",
            ),
        ],
        where="EMPORIUM_MODULES=users",
        says="The shop of users alone does not boot: LookupError: There is no catalog.",
        fix="Let users do without what it does not list in `needs`",
        live=True,
    ),
    _planted(
        "tests_that_import_a_module_that_theirs_does_not_need_are_refused",
        "subset-tests",
        Append(file="tests/users/test_planted.py", text="def test_it() -> None:\n    from catalog.interface import StockLine"),
        "tests/users/test_planted.py:",
        "The tests of users import catalog.interface.StockLine, which is not there when only users is on",
        "EMPORIUM_MODULES=users pytest tests/users/test_planted.py",
        arguments=SOUND,
    ),
    _planted(
        "tests_that_import_listeners_without_their_publisher_are_refused",
        "subset-tests",
        Append(file="tests/catalog/test_planted.py", text="from catalog import listeners as l"),
        "tests/catalog/test_planted.py:",
        "The tests of catalog import catalog.listeners, which nobody imports when its publisher ordering is off",
        "belongs to tests/flows",
        arguments=SOUND,
    ),
]

PLANTINGS: Final[list[Planting]] = [*_CONTAINERS, *_DESCRIPTIONS, *_BUILT, *_LISTENERS, *_PARTS]
