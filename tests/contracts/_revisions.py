"""Planted revisions: their text, from the few lines that matter, and where those lines stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Final

from tests.planting import ROOT, Write


def _head(migrations: Path) -> str:
    texts = [file.read_text(encoding="utf-8") for file in migrations.glob("*.py")]
    revisions, behind = (
        {found[1] for text in texts if (found := re.search(rf'^{name}[^=\n]*= "(\w+)"', text, re.MULTILINE))}
        for name in ("revision", "down_revision")
    )
    [head] = revisions - behind
    return head


HEADS: Final = {"kernel": _head(ROOT / "platform/kernel/migrations")} | {
    folder.parent.name: _head(folder) for folder in (ROOT / "modules").glob("*/migrations")
}
"""Where each branch ends; a planted revision is put behind it."""

_TEXT: Final = '''"""Planted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = {revision!r}
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = {depends_on!r}


def upgrade() -> None:
{upgrade}
'''
_DOWNGRADE: Final = """

def downgrade() -> None:
{downgrade}
"""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One revision file. `folder` is below the module's own `migrations/`."""

    module: str
    revision: str
    upgrade: str = 'op.execute("SELECT 1")'
    downgrade: str | None = 'op.execute("SELECT 1")'
    down: str | tuple[str, ...] | None = ""
    labels: tuple[str, ...] | None = None
    depends_on: str | None = None
    folder: str = ""

    @property
    def file(self) -> str:
        place = "platform/kernel" if self.module == "kernel" else f"modules/{self.module}"
        return f"{place}/migrations/{self.folder}2027_01_01_{self.revision}.py"

    @property
    def text(self) -> str:
        body = _TEXT.format(
            revision=self.revision,
            down=HEADS[self.module] if self.down == "" else self.down,
            labels=self.labels,
            depends_on=self.depends_on,
            upgrade=_indented(self.upgrade),
        )
        return body if self.downgrade is None else body + _DOWNGRADE.format(downgrade=_indented(self.downgrade))

    @property
    def write(self) -> Write:
        return Write(file=self.file, text=self.text)

    def at(self, words: str) -> str:
        """`file:line` of the first line with these words."""
        lines = self.text.splitlines()
        return f"{self.file}:{next(number for number, line in enumerate(lines, 1) if words in line)}"


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def chain(module: str, *revisions: Planted) -> list[Planted]:
    """The same revisions, one behind the other."""
    behind = [HEADS[module], *(revision.revision for revision in revisions)]
    return [
        Planted(
            module=module,
            revision=revision.revision,
            upgrade=revision.upgrade,
            downgrade=revision.downgrade,
            down=behind[number],
        )
        for number, revision in enumerate(revisions)
    ]


def _indented(code: str) -> str:
    return indent(dedent(code).strip(), "    ")
