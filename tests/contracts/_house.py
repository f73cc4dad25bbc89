"""A throw-away copy of the house to plant violations in, and the real tools run on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("modules", "platform")
MODULES = tuple(sorted(path.parent.name for path in (ROOT / "modules").glob("*/__init__.py")))
CONTRACTS = ROOT / "importlinter.ini"
_IGNORED = shutil.ignore_patterns("__pycache__", "static", "contracts")


@dataclass(frozen=True)
class Verdict:
    """What a tool said: its exit code and its output with all white space squeezed, so that wrapped lines compare."""

    code: int
    output: str

    def says(self, text: str) -> bool:
        return squeeze(text) in self.output


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def copy_house(to: Path) -> Path:
    """Copy the source roots and the configuration of the checks to `to`; answers `to`."""
    for name in SOURCE_ROOTS:
        shutil.copytree(ROOT / name, to / name, ignore=_IGNORED)
    for name in ("importlinter.ini", "pyproject.toml"):
        shutil.copy2(ROOT / name, to / name)
    return to


def plant(house: Path, file: str, line: str) -> str:
    """Append `line` to `file` (made when missing); answers the file that it stands in: `x.py` may be the folder `x/`."""
    path = house / file
    if not path.exists() and path.with_suffix("").is_dir():
        path = path.with_suffix("") / "__init__.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    return path.relative_to(house).as_posix()


def lint_imports(house: Path) -> Verdict:
    command = [_tool("lint-imports"), "--config", "importlinter.ini", "--no-cache", "--no-logo"]
    return _run(command, house, PYTHONPATH=os.pathsep.join(str(house / name) for name in SOURCE_ROOTS))


def ruff(house: Path, *files: str) -> Verdict:
    return _run([_tool("ruff"), "check", "--no-cache", "--output-format=concise", *files], house)


def contract_of(name: str) -> str:
    """The contract called `contract:<name>` in importlinter.ini: its title, as the linter prints it."""
    return _contracts()[f"importlinter:contract:{name}"]["name"]


def guidance_of(name: str) -> str:
    return _contracts()[f"importlinter:contract:{name}"]["broken_contract_guidance"]


def _contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(CONTRACTS, encoding="utf-8")
    return parser


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str], cwd: Path, **environment: str) -> Verdict:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "300", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Verdict(done.returncode, squeeze(done.stdout + done.stderr))
