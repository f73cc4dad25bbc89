"""docs/contracts.md: each rule of each gate in five lines, and no rule that is gone."""

from __future__ import annotations

import importlib
import re
from typing import Final

from tests.planting import ROOT

from app.contracts.gates import GATES

LINES: Final = ("What", "Why", "Violation", "Message", "Fix")


def test_each_rule_says_what_why_an_example_its_message_and_the_fix() -> None:
    text = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))
    rules = {
        f"{name}/{rule}"
        for name, module in GATES.items()
        for rule in importlib.import_module(module).gate.rules  # noqa: TID251  # a test of app
    }

    assert set(sections) == rules
    for rule, section in sections.items():
        assert re.findall(r"^- \*\*(\w+)\*\*: \S", section, re.MULTILINE) == [*LINES], rule
