"""Released: what `docs/RELEASED.toml` says, which is checksums of all that may not change any more without being noticed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

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
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        return Released(
            at=read["at"], revisions=read.get("revisions", {}), snapshots=read.get("snapshots", {}), debts=tuple(read["debts"])
        )
    except KeyError as error:
        raise ValueError(f"{FILE} has no {error}: restore it (`git checkout -- {FILE}`).") from error
