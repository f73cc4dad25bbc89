"""squawk: the linter of migrations reads the SQL of what is not released yet, and its help becomes a finding's fix."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.contracts.finding import Finding
from app.contracts.gates.migrations.history import finding
from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.script import Written
from kernel.database.provisioning import SESSION

INCLUDED: Final[Mapping[str, str]] = {
    "require-table-schema": "Which schema a bare name means depends on the session.",
}
"""Rules that squawk leaves out unless they are asked for, and why we ask."""

EXCLUDED: Final[Mapping[str, str]] = {
    "prefer-bigint-over-int": "Ids are BIGINT by the kernel's type; counts and versions stay small, and CHECKs bound them.",
    "prefer-bigint-over-smallint": "As above.",
    "prefer-robust-stmts": "A revision is one transaction. One that is not is broken off and tried again by the gate itself.",
}
"""Rules that do not fit here, and why."""

POSTGRESQL: Final = "16.0"
"""The oldest server that we run on."""

_FIXES: Final[Mapping[str, str]] = {
    "require-concurrent-index-creation": (
        "Build it in a revision of its own, in `with op.get_context().autocommit_block():`, with postgresql_concurrently=True,"
        " behind `op.drop_index(…, if_exists=True, postgresql_concurrently=True)`, so that it can be tried again."
    ),
    "require-concurrent-index-deletion": (
        "Drop it in a revision of its own, in `with op.get_context().autocommit_block():`, with if_exists=True and"
        " postgresql_concurrently=True."
    ),
    "constraint-missing-not-valid": "Add it NOT VALID, and VALIDATE CONSTRAINT in the next revision.",
    "adding-foreign-key-constraint": "Add it NOT VALID, and VALIDATE CONSTRAINT in the next revision.",
    "changing-column-type": "Add a column of the new type, fill it, move the code over, drop the old one a release later.",
    "renaming-column": "Add a column beside it, write both, move the code over, drop the old one a release later.",
    "renaming-table": "Leave its name; code may call it what it likes (`__tablename__`).",
    "ban-drop-column": "Drop it in the release after the one whose code stopped using it.",
    "ban-drop-table": "Drop it in the release after the one whose code stopped using it.",
    "ban-drop-not-null": "Do it once no code that still serves expects a value.",
    "ban-drop-constraint": "Do it once no code that still serves leans on it.",
    "ban-drop-function": "Drop it in the release after the one whose code stopped using it.",
}
"""Said in our words, where squawk has no help or does not know Alembic's."""

_WAIVER: Final = re.compile(r"#[ \t]*squawk-ignore[ \t]+([\w-]+):[ \t]*(\S.*)")
_DROPPED: Final = re.compile(r'DROP CONSTRAINT\s+(?:IF EXISTS\s+)?"?(\w+)', re.IGNORECASE)


def check_scripts(scripts: Sequence[tuple[Revision, Sequence[Written]]]) -> Iterator[Finding]:
    """What squawk says of these revisions' `upgrade`."""
    if not scripts:
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number, (revision, statements) in enumerate(scripts):
            file = Path(folder) / f"{number}.sql"
            file.write_text("".join(f"{line}\n" for line in _lines(statements)), encoding="utf-8")
            files[str(file)] = (revision, statements)
        for told in _run(list(files)):
            revision, statements = files[told["file"]]
            yield from _finding(revision, statements, told)


def _lines(statements: Sequence[Written]) -> list[str]:
    """One statement a line, so that squawk's line is the statement's number; first what env.py says to the session."""
    head = [f"{setting};" for setting in SESSION]
    return head + [re.sub(r"\s*\n\s*", " ", _without_comments(statement.sql)) for statement in statements]


def _without_comments(sql: str) -> str:
    return "\n".join(line for line in sql.split("\n") if not line.lstrip().startswith("--"))


def _run(files: Sequence[str]) -> list[Mapping[str, Any]]:
    tool = Path(sys.executable).with_name("squawk")
    options = [
        "--reporter",
        "json",
        "--pg-version",
        POSTGRESQL,
        "--include",
        ",".join(INCLUDED),
        "--exclude",
        ",".join(EXCLUDED),
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as nothing:
        # A configuration of its own keeps squawk from looking for one where the command was started.
        command = [str(tool), "--config", nothing.name, *options, *files]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # our own
        except FileNotFoundError as error:
            raise ModuleNotFoundError("squawk is not installed", name="squawk-cli") from error
    if done.returncode not in (0, 1) or not done.stdout.strip().startswith("["):
        raise RuntimeError(f"squawk failed: {(done.stderr or done.stdout).strip()}")
    found: list[Mapping[str, Any]] = json.loads(done.stdout)
    return found


def _finding(revision: Revision, statements: Sequence[Written], told: Mapping[str, Any]) -> Iterator[Finding]:
    number = told["line"] - len(SESSION)
    statement = statements[number] if 0 <= number < len(statements) else Written(sql="", line=None)
    rule = told["rule_name"]
    if rule == "ban-drop-constraint" and _comes_back(statement, statements[number:]):
        return
    if rule in _waived(revision):
        return
    fix = _FIXES.get(rule) or told["help"] or "Spread it over revisions that the code of the last release can live with."
    fix = f"{fix.rstrip('.')}. When it is meant so, write `# squawk-ignore {rule}: <why>` into the revision."
    what = f"`{statement.short}` ({rule}): {_first_sentence(told['message'])}"
    yield finding("squawk", revision, what, fix, statement.line)


def _comes_back(dropped: Written, later: Sequence[Written]) -> bool:
    """Whether the constraint is put back in another form: how a check learns a new word."""
    names = _DROPPED.findall(dropped.sql)
    added = [re.search(rf'ADD CONSTRAINT\s+"?{name}\b', written.sql, re.IGNORECASE) for name in names for written in later]
    return bool(names) and any(added)


def _waived(revision: Revision) -> set[str]:
    """Rules that the file sets aside, each with a reason."""
    return {rule for rule, _ in _WAIVER.findall(revision.file.read_text(encoding="utf-8"))}


def _first_sentence(message: str) -> str:
    return message.partition(". ")[0].rstrip(".") + "."
