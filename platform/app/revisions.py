"""Revisions: whether a database has what this code needs, seen by code that may be older than the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Final

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.migrations import config, dormant_revisions

_CURRENT: Final = text("SELECT version_num FROM kernel.alembic_version")


def current_revisions(connection: Connection) -> frozenset[str]:
    """The revisions that the database is at, one per branch. Runs as the kernel's role."""
    return frozenset(connection.scalars(_CURRENT))


@dataclass(frozen=True, slots=True)
class Revisions:
    """What this code knows of the branches: the branch of each revision, and the newest one of each branch."""

    branch_of: Mapping[str, str]
    heads: Mapping[str, str]

    @classmethod
    def of_this_code(cls, modules: Collection[str] | None = None) -> Revisions:
        """What is needed by these modules and the kernel; default: by all that are switched on."""
        script = ScriptDirectory.from_config(config())
        branch_of = {known.revision: min(known.branch_labels) for known in script.walk_revisions() if known.branch_labels}
        heads = {branch_of[head]: head for head in script.get_heads() if head in branch_of}
        if modules is not None:
            heads = {branch: head for branch, head in heads.items() if branch in {"kernel", *modules}}
        return cls({**branch_of, **dormant_revisions()}, heads)

    def behind(self, current: Set[str]) -> list[str]:
        """Branches that have to be migrated before this code can serve.

        A revision that this code does not know is one of a newer release, made while this one still serves: it stands for
        a branch of which no known revision is there.
        """
        branches = {self.branch_of[revision] for revision in current if revision in self.branch_of}
        stale = [name for name, head in self.heads.items() if name in branches and head not in current]
        absent = [name for name in self.heads if name not in branches]
        unknown = len(current - self.branch_of.keys())
        return sorted(stale + (absent if len(absent) > unknown else []))
