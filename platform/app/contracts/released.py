"""Released: what `docs/RELEASED.toml` says, which is checksums of all that may not change any more without being noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from app.contracts.tables import is_day, read_toml

FILE: Final = "docs/RELEASED.toml"


@dataclass(frozen=True, kw_only=True)
class Released:
    """Of the last release. Without a file, nothing was released yet, and `at` is None."""

    at: date | None = None
    revisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Branch -> revision -> checksum of its file."""
    snapshots: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Module -> kind -> checksum of the snapshot, as released or as accepted since."""
    debts: tuple[str, ...] = ()
    """Keys of the findings in the baseline, which has only shrunk since."""

    def text(self) -> str:
        """The file."""
        lines = [
            "# Written by `emporium contracts release` and `emporium contracts accept`; not by hand.",
            "# What stands here may not change unnoticed: revisions never, snapshots by `accept` only.",
            "",
            f"at = {self.at}",
            f"debts = {json.dumps(list(self.debts), ensure_ascii=False)}",
        ]
        for table, groups in (("revisions", self.revisions), ("snapshots", self.snapshots)):
            for name in sorted(groups):
                lines += ["", f"[{table}.{json.dumps(name)}]"]
                lines += [f"{json.dumps(key)} = {json.dumps(groups[name][key])}" for key in sorted(groups[name])]
        return "\n".join(lines) + "\n"


def read_released(root: Path) -> Released:
    """Errors: ValueError, when somebody edited the file into nonsense."""
    file = root / FILE
    if not file.exists():
        return Released()
    try:
        read = read_toml(file)
        if wrong := [name for name, is_right in _SHAPE.items() if not is_right(read.get(name))]:
            raise ValueError(f"{', '.join(wrong)} cannot be right")
    except ValueError as error:
        raise ValueError(f"{FILE} is not as it was written ({error}): restore it (`git checkout -- {FILE}`).") from error
    return Released(
        at=read["at"], revisions=read.get("revisions", {}), snapshots=read.get("snapshots", {}), debts=tuple(read["debts"])
    )


def _are_checksums(value: object) -> bool:
    """Checksums by two names each; where there are none, none are written."""
    groups = value.values() if isinstance(value, dict) else () if value is None else (None,)
    return all(isinstance(group, dict) and all(isinstance(each, str) for each in group.values()) for group in groups)


_SHAPE: Final[Mapping[str, Callable[[object], bool]]] = {
    "at": is_day,
    "debts": lambda value: isinstance(value, list) and all(isinstance(debt, str) for debt in value),
    "revisions": _are_checksums,
    "snapshots": _are_checksums,
}
