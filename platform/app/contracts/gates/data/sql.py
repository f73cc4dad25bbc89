"""SQL as text: whether a string looks like SQL, which schemas' things it names, whether it switches roles."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from app.contracts.syntax import HOLE

_VERBS: Final = (
    "SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|COPY|LOCK|VALUES|TABLE|TRUNCATE|CREATE|ALTER|DROP|GRANT|REVOKE|CALL|EXPLAIN|DO"
    "|SET|RESET|DISCARD|DECLARE|REFRESH|COMMENT|PREPARE|EXECUTE|LISTEN|NOTIFY"
)
_STARTS: Final = re.compile(rf"[\s(]*({_VERBS}|{_VERBS.lower()})\b")
_CLAUSES: Final = r"FROM|JOIN|INTO|UPDATE|USING|TABLE|REFERENCES|ONLY|TRUNCATE|LOCK|COPY|EXISTS|VIEW|ON|TRIGGER|FUNCTION|CALL"
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_LOOKED_UP: Final = re.compile(
    r"(?:\b(?:nextval|setval|currval|to_reg\w+|has_\w+_privilege|pg_\w+)\s*\([^)']*'\"?(\w+)\"?\.\"?(\w+)"
    r"|'\"?(\w+)\"?\.\"?(\w+)\"?(?:\([^']*\))?'\s*(?:::|AS)\s*reg\w+)",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    # `UPDATE … SET role = …` sets a column.
    r"(?:\A|;)[\s(]*SET\s+(?:LOCAL\s+|SESSION\s+)?ROLE\b"
    r"|\b(?:SET|RESET)\s+(?:LOCAL\s+|SESSION\s+)?(?:ROLE|SESSION\s+AUTHORIZATION)\b(?!\s*=)"
    r"|\bset_config\s*\(|\bRESET\s+ALL\b|\bDISCARD\s+ALL\b",
    re.IGNORECASE,
)


def looks_like_sql(text: str) -> bool:
    """Whether the text starts like a statement, in capitals or in small letters; a sentence starts with one capital."""
    return _STARTS.match(_COMMENT.sub(" ", text)) is not None


def names_of_others(text: str, schemas: Collection[str], *, submodules: Collection[str]) -> Iterator[str]:
    """What the text names in other schemas, as `schema.name`, each once. `submodules` (`catalog.interface`) are no tables."""
    bare = _COMMENT.sub(" ", text)
    found = dict.fromkeys(_looked_up(bare, schemas) if looks_like_sql(text) else ())
    bare = _QUOTED.sub("''", bare)
    for schema in schemas:
        pattern = re.compile(rf'(?<![\w."$%:@/-])"?{re.escape(schema)}"?\s*\.\s*"?([A-Za-z_{HOLE}]\w*)"?')
        for match in pattern.finditer(bare):
            if _is_meant(bare, match, schema, f"{schema}.{match[1]}" in submodules):
                found[f"{schema}.{match[1].replace(HOLE, '…')}"] = None
    yield from found


def _looked_up(text: str, schemas: Collection[str]) -> Iterator[str]:
    for match in _LOOKED_UP.finditer(text):
        schema, name = match[1] or match[3], match[2] or match[4]
        if schema in schemas:
            yield f"{schema}.{name}"


def _is_meant(text: str, match: re.Match[str], schema: str, is_submodule: bool) -> bool:
    """Whether `schema.name` is a table or function there: not a file, an event, or a column of something else."""
    starts = _STARTS.match(text)
    before = text[: match.start()].rstrip()
    clause = re.search(rf"(?:\b({_CLAUSES})(?:\s+(?:ONLY|LATERAL|IF\s+EXISTS|IF\s+NOT\s+EXISTS))?|,)\Z", before, re.IGNORECASE)
    if starts is None:
        # A part of a statement, or a sentence.
        return clause is not None and clause[0].isupper() and not is_submodule and not match[1][0].isupper()
    if is_submodule or (match[1][0].isupper() and '"' not in match[0]):
        return False
    return (clause is not None and clause[0] != ",") or not _is_alias(text, schema)


def _is_alias(text: str, schema: str) -> bool:
    """Whether the statement calls one of its own tables like the schema."""
    name = rf'"?{re.escape(schema)}"?'
    alias = rf'\bAS\s+{name}(?!["\w]|\s*\.)|(?:[\w")]\s+|\.\s*){name}(?!["\w]*\s*[.\w])'
    return re.search(alias, text, re.IGNORECASE) is not None


def schema_is_open(text: str) -> bool:
    """Whether the schema of a table only shows at run time."""
    pattern = rf'\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE|REFERENCES)\s+"?{HOLE}"?\s*\.\s*"?[A-Za-z_{HOLE}]'
    return re.search(pattern, _COMMENT.sub(" ", text), re.IGNORECASE) is not None


def switches_role(text: str) -> bool:
    bare = _COMMENT.sub(" ", text)
    if _ROLE.search(bare) is None:
        return False
    return looks_like_sql(text) or _ROLE.match(bare.lstrip(" \t\n(;")) is not None


def holds_several(text: str) -> bool:
    """Whether there is a `;` outside of quotes in what is SQL beyond doubt."""
    starts = _STARTS.match(_COMMENT.sub(" ", text))
    return starts is not None and starts[1].isupper() and ";" in _QUOTED.sub("''", _COMMENT.sub(" ", text))
