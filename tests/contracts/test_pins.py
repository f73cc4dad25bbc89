"""Pins: what an installation with the development tools brings in is the same everywhere."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def test_every_distribution_has_its_version_in_constraints_txt() -> None:
    assert unpinned((ROOT / "constraints.txt").read_text(encoding="utf-8")) == []


def test_a_distribution_without_a_pin_is_named() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")

    assert unpinned(pins.replace("starlette==", "# starlette==")) == ["starlette"]


def unpinned(pins: str) -> list[str]:
    lines = [line for line in pins.splitlines() if line and not line.startswith("#")]
    return sorted(_installed_for("emporium", "dev") - {canonicalize_name(Requirement(line).name) for line in lines})


def _installed_for(distribution: str, *extras: str) -> set[str]:
    """The names of all that a distribution requires, directly or not, on this Python and system."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [(distribution, frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        for needed in map(Requirement, metadata.requires(name) or ()):
            applies = not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *wanted})
            entry = (canonicalize_name(needed.name), frozenset(needed.extras))
            if applies and entry not in found:
                found.add(entry)
                waiting.append(entry)
    return {name for name, _ in found}
