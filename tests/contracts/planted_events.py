"""Violations of the gate `events`."""

from __future__ import annotations

from typing import Final

from tests.planting import Append, Planting, Replace, Write

CATALOG: Final = "modules/catalog/interface.py"
ORDERING: Final = "modules/ordering/interface.py"
USERS: Final = "modules/users/interface.py"
ACCEPT: Final = "emporium contracts accept"

_KEPT_USERS: Final = """
{"events": {"users.UserClosed": {
  "aggregate": "user:{user_id}",
  "letters": [{"user_id": 7, "kind": "closed"}],
  "schema": {"type": "object", "required": ["user_id", "kind"],
             "properties": {"user_id": {"type": "integer"}, "kind": {"enum": ["closed"], "type": "string"}}}
}}}
"""

_PROMISES: Final = [
    Planting(
        claim="an event under another name",
        rule="events/removed-event",
        edits=[Replace(file=ORDERING, old='= "ordering.OrderDelivered"', new='= "ordering.OrderArrived"')],
        where="ordering.OrderDelivered",
        says="ordering.OrderArrived is new and of the same form",
        fix="modules/ordering/contracts/breaking.toml",
    ),
    Planting(
        claim="an event about something else, whose order is lost",
        rule="events/changed-aggregate",
        edits=[Replace(file=USERS, old='return f"user:{self.user_id}"', new='return f"account:{self.user_id}"')],
        where="users.UserClosed",
        says="was about 'user:{user_id}' and is about 'account:{user_id}'",
        fix=ACCEPT,
    ),
    Planting(
        claim="a new field without a default, which no letter in the outbox has",
        rule="events/undecodable",
        edits=[
            Replace(
                file=CATALOG,
                old="    available: int\n\n    @property",
                new="    available: int\n    threshold: int\n\n    @property",
            )
        ],
        where="catalog.StockRanLow",
        says="threshold",
        fix="Keep the old form",
    ),
    Planting(
        claim="a renamed field",
        rule="events/removed-field",
        edits=[
            Replace(
                file=ORDERING,
                old='"ordering.OrderPlaced"\n    number: str\n',
                new='"ordering.OrderPlaced"\n    order_number: str\n',
            )
        ],
        where="ordering.OrderPlaced.number",
        says="order_number is new and of the same form",
        fix=ACCEPT,
    ),
    Planting(
        claim="a field that can be null from now on",
        rule="events/optional-field",
        edits=[
            Replace(
                file=ORDERING,
                old='"ordering.OrderShipped"\n    tracking_reference: str\n',
                new='"ordering.OrderShipped"\n    tracking_reference: str | None\n',
            )
        ],
        where="ordering.OrderShipped.tracking_reference",
        says="can be null now",
        fix=ACCEPT,
    ),
    Planting(
        claim="an id that became a text",
        rule="events/widened-output",
        edits=[Replace(file=ORDERING, old="    refund_id: int\n", new="    refund_id: str\n")],
        where="ordering.OrderRefunded.refund_id",
        says="It was an integer and is a string",
        fix=ACCEPT,
    ),
    Planting(
        claim="a value that listeners have no branch for",
        rule="events/new-enum-member",
        edits=[
            Write(file="modules/users/contracts/events.json", text=_KEPT_USERS),
            Replace(file=USERS, old="from typing import ClassVar,", new="from typing import ClassVar, Literal,"),
            Replace(
                file=USERS,
                old="    user_id: int\n\n    @property",
                new='    user_id: int\n    kind: Literal["closed", "merged"] = "closed"\n\n    @property',
            ),
        ],
        where="users.UserClosed.kind",
        says='The value "merged" is new',
        fix=ACCEPT,
    ),
    Planting(
        claim="a list that became a pair",
        rule="events/changed-schema",
        edits=[Replace(file=ORDERING, old="lines: tuple[PaidLine, ...]", new="lines: tuple[PaidLine, PaidLine]")],
        where="ordering.OrderPaid.lines",
        says="There were 0 items with a place of their own, and are 2 now",
        fix=ACCEPT,
    ),
    Planting(
        claim="a snapshot that is older than the code",
        rule="events/snapshot",
        edits=[
            Append(
                file=ORDERING,
                text="@dataclass(frozen=True, kw_only=True)\nclass OrderArchived(_OrderEvent):\n"
                '    name: ClassVar[str] = "ordering.OrderArchived"\n    shelf: str',
            )
        ],
        where="modules/ordering/contracts/events.json",
        says="older than the code, harmlessly",
        fix="Run `emporium contracts accept ordering`",
    ),
    Planting(
        claim="a released snapshot that somebody edited",
        rule="events/edited-snapshot",
        edits=[
            Write(
                file="docs/RELEASED.toml",
                text='at = 2026-11-30\ndebts = []\n\n[snapshots."catalog"]\n"events" = "what it was"\n',
            )
        ],
        where="modules/catalog/contracts/events.json",
        says="edited by hand or deleted",
        fix="git checkout -- modules/catalog/contracts/events.json",
    ),
    Planting(
        claim="an agreement that nobody agreed to",
        rule="events/agreement",
        edits=[
            Append(
                file="modules/ordering/contracts/breaking.toml",
                text='[[change]]\nrule = "events/removed-event"\nwhere = "ordering.OrderPaid"\nwhat = "gone"\nwhy = "old"',
            )
        ],
        where="modules/ordering/contracts/breaking.toml",
        says="lacks agreed (who, one or more), since (a date), until (a date)",
        fix="Write it as [[change]]",
    ),
]

_DECLARATIONS: Final = [
    Planting(
        claim="an event in a service, of a base that has another name there",
        rule="events/event-elsewhere",
        edits=[
            Append(
                file="modules/catalog/service/stock.py",
                text="def _hidden() -> None:\n    from kernel.pure import events as announced\n\n"
                "    Fact = announced.Event\n\n    class StockCounted(announced.Event):\n        pass",
            )
        ],
        where="modules/catalog/service/stock.py",
        says="The event StockCounted is declared outside of an interface",
        fix="Move the class to modules/catalog/interface.py",
    ),
    Planting(
        claim="an event of an event that is imported under another name",
        rule="events/event-elsewhere",
        edits=[
            Append(
                file="modules/ordering/service/states.py",
                text="from ordering import interface as door\n\nBase = door.OrderPaid\n\n\n"
                "class OrderPaidTwice(Base):\n    pass",
            )
        ],
        where="modules/ordering/service/states.py",
        says="OrderPaidTwice",
        fix="Move the class to modules/ordering/interface.py",
    ),
    Planting(
        claim="an event of the kernel",
        rule="events/event-elsewhere",
        edits=[
            Append(
                file="platform/kernel/pure/clock.py",
                text="from kernel.pure.events import Event\n\n\nclass DayBroke(Event):\n    pass",
            )
        ],
        where="platform/kernel/pure/clock.py",
        says="DayBroke",
        fix="Move the class to the interface.py of the module whose fact it is",
    ),
    Planting(
        claim="a name that is not the class's",
        rule="events/event-name",
        edits=[
            Append(
                file=USERS,
                text="@dataclass(frozen=True, kw_only=True)\nclass UserMerged(UserClosed):\n"
                '    name: ClassVar[str] = "users.Merged"',
            )
        ],
        where=USERS,
        says="The event UserMerged has the name 'users.Merged'",
        fix='Write `name: ClassVar[str] = "users.UserMerged"`',
    ),
    Planting(
        claim="an event that is no dataclass of its own",
        rule="events/not-frozen",
        edits=[Append(file=USERS, text='class UserRenamed(UserClosed):\n    name: ClassVar[str] = "users.UserRenamed"')],
        where=USERS,
        says="The event UserRenamed is no frozen dataclass",
        fix="Write @dataclass(frozen=True, kw_only=True) above the class",
    ),
    Planting(
        claim="a module that announces a neighbour's fact",
        rule="events/foreign-event",
        edits=[
            Append(
                file="modules/ordering/service/shipping.py",
                text="def _announced() -> object:\n    from users.interface import UserClosed as Closed\n\n"
                "    return Closed(user_id=1)",
            )
        ],
        where="modules/ordering/service/shipping.py",
        says="ordering makes the event UserClosed, which users alone announces",
        fix="call users and let it announce",
    ),
    Planting(
        claim="a listener for an event that nobody promises",
        rule="events/unknown-event",
        edits=[
            Append(
                file=CATALOG,
                text="@dataclass(frozen=True, kw_only=True)\nclass ProductRestored(ProductArchived):\n"
                '    name: ClassVar[str] = "catalog.ProductRestored"',
            ),
            Replace(
                file="modules/ordering/module.py",
                old='listens={"users": "ordering.listeners"}',
                new='listens={"users": "ordering.listeners", "catalog": "ordering.listeners"}',
            ),
            Replace(
                file="modules/ordering/listeners.py",
                old="    return [\n",
                new="    from catalog import interface as shelf\n\n    return [\n"
                '        DatabaseListener(name="ordering.hear", event=shelf.ProductRestored, handle=lambda event: None),\n',
            ),
        ],
        where="modules/ordering/listeners.py",
        says="ordering.hear waits for catalog.ProductRestored, which catalog does not promise",
        fix="Hear another event, or let catalog promise it",
    ),
]

PLANTINGS: Final[list[Planting]] = [*_PROMISES, *_DECLARATIONS]
