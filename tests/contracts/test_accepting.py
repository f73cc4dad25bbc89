"""Accepting and releasing: when snapshots are rewritten, when not, and that a refusal leaves everything as it was.

The code's promises are those of the project; a change is made by keeping another snapshot than the code's.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from tests.planting import ROOT, Replace, contracts, copy_project
from typer.testing import CliRunner

from app.cli.contracts import contracts as commands
from app.contracts import releasing
from app.contracts.accepting import Accepted, Refused, accept, promises, told
from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.promises.promise import checksum
from app.contracts.released import read_released
from app.contracts.releasing import release, revision_checksums
from app.contracts.run import Outcome

TODAY: Final = date(2026, 12, 1)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """What the commands look at, without the code that they import anyway."""
    for name in ("modules", "platform/kernel/migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


@pytest.fixture
def all_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(findings=[], known=[], gates=[], facts={}, seconds=0)
    monkeypatch.setattr(releasing, "run", lambda *_, **__: outcome)


@pytest.fixture
def released(house: Path, all_holds: None) -> Path:
    release(house, today=date(2026, 11, 30))
    return house


def snapshot(house: Path, kind: str, module: str = "catalog") -> Path:
    return house / "modules" / module / "contracts" / f"{kind}.json"


def keep(house: Path, kind: str, change: Callable[[Any], object]) -> None:
    """Another snapshot, as one that was released."""
    file = snapshot(house, kind)
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    record = house / "docs/RELEASED.toml"
    if record.exists():
        known = read_released(house)
        text = record.read_text().replace(known.snapshots["catalog"][kind], checksum(file))
        record.write_text(text)


def with_a_field_that_is_gone(document: Any) -> None:
    document["components"]["schemas"]["Product"]["properties"]["colour"] = {"type": "string"}


def without_a_field_that_is_new(document: Any) -> None:
    del document["components"]["schemas"]["Product"]["properties"]["units_sold"]
    document["components"]["schemas"]["Product"]["required"].remove("units_sold")


def with_an_event_that_is_gone(document: Any) -> None:
    document["events"]["catalog.ProductBurnt"] = document["events"]["catalog.ProductArchived"]


def everything(house: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in house.rglob("*") if path.is_file()}


def agree(house: Path, refused: Refused, **filled: str) -> None:
    """Paste what was printed, and fill it in."""
    entries = "\n".join(reason.partition("\n\n")[2] for reason in refused.reasons)
    values = {"why": '"nobody asks for it"', "agreed": '["the web shop"]', **filled}
    for name, value in values.items():
        entries = entries.replace(f'{name} = ""', f"{name} = {value}").replace(f"{name} = []", f"{name} = {value}")
    (house / "modules/catalog/contracts/breaking.toml").write_text(entries)


def lines(accepted: Accepted) -> str:
    return "\n".join(told(accepted))


class TestBeforeARelease:
    def test_what_is_promised_already_is_left_alone(self, house: Path) -> None:
        before = everything(house)

        assert lines(accept(house, [])) == "Every snapshot says already what the code promises."
        assert everything(house) == before

    def test_breaking_changes_are_taken_and_said_so(self, house: Path) -> None:
        keep(house, "http", with_a_field_that_is_gone)

        said = lines(accept(house, ["catalog"]))

        assert "breaking  Product.colour in answers: The field is gone." in said
        assert "[http/removed-field]" in said
        assert "Nothing has been released yet" in said
        assert snapshot(house, "http").read_bytes() == snapshot(ROOT, "http").read_bytes()
        assert not (house / "docs/RELEASED.toml").exists()

    def test_only_the_named_modules_are_written(self, house: Path) -> None:
        keep(house, "http", with_a_field_that_is_gone)
        before = everything(house)

        accept(house, ["users"])

        assert everything(house) == before

    def test_a_snapshot_that_is_not_there_is_made(self, house: Path) -> None:
        snapshot(house, "events").unlink()

        assert "events.json: new." in lines(accept(house, ["catalog"]))
        assert snapshot(house, "events").read_bytes() == snapshot(ROOT, "events").read_bytes()

    def test_an_unknown_module_is_refused_by_name(self, house: Path) -> None:
        with pytest.raises(ValueError, match="There is no module warehouse; there are catalog, ordering, users"):
            accept(house, ["warehouse"])


class TestAfterARelease:
    def test_a_safe_change_is_taken_and_its_checksum_recorded(self, released: Path) -> None:
        keep(released, "http", without_a_field_that_is_new)

        said = lines(accept(released, ["catalog"]))

        assert "1 change, 0 of them breaking" in said
        assert read_released(released).snapshots["catalog"]["http"] == checksum(snapshot(released, "http"))
        assert lines(accept(released, ["catalog"])) == "Every snapshot says already what the code promises."

    def test_a_breaking_change_without_an_entry_is_refused_and_nothing_is_written(self, released: Path) -> None:
        keep(released, "http", with_a_field_that_is_gone)
        keep(released, "events", with_an_event_that_is_gone)
        before = everything(released)

        with pytest.raises(Refused) as refused:
            accept(released, [], today=TODAY)

        assert everything(released) == before
        entries = [tomllib.loads(reason.partition("\n\n")[2])["change"][0] for reason in refused.value.reasons]
        assert [(entry["rule"], entry["where"]) for entry in entries] == [
            ("http/removed-field", "Product.colour in answers"),
            ("events/removed-event", "catalog.ProductBurnt"),
        ]
        assert {entry["since"] for entry in entries} == {TODAY}

    def test_the_entry_as_printed_and_filled_in_is_enough(self, released: Path) -> None:
        keep(released, "http", with_a_field_that_is_gone)
        with pytest.raises(Refused) as refused:
            accept(released, ["catalog"], today=TODAY)
        agree(released, refused.value)

        said = lines(accept(released, ["catalog"], today=TODAY))

        assert "agreed by the web shop; the old form goes on 2027-03-01" in said
        assert read_released(released).snapshots["catalog"]["http"] == checksum(snapshot(ROOT, "http"))

    def test_an_entry_that_is_not_filled_in_is_not_enough(self, released: Path) -> None:
        keep(released, "http", with_a_field_that_is_gone)
        with pytest.raises(Refused) as refused:
            accept(released, ["catalog"])
        agree(released, refused.value, agreed="[]")
        before = everything(released)

        with pytest.raises(Refused, match="lacks agreed"):
            accept(released, ["catalog"])
        assert everything(released) == before

    def test_an_entry_for_one_change_is_none_for_another(self, released: Path) -> None:
        keep(released, "http", with_a_field_that_is_gone)
        with pytest.raises(Refused) as refused:
            accept(released, ["catalog"])
        agree(released, refused.value)
        keep(released, "events", with_an_event_that_is_gone)

        with pytest.raises(Refused, match=r"catalog\.ProductBurnt") as still:
            accept(released, ["catalog"])
        assert len(still.value.reasons) == 1

    def test_an_entry_is_for_one_change_of_a_field_and_not_for_the_next(self, released: Path) -> None:
        def with_longer_names(document: Any) -> None:
            document["components"]["schemas"]["NewProductBody"]["properties"]["name"]["maxLength"] = 1000

        def with_names_without_end(document: Any) -> None:
            del document["components"]["schemas"]["NewProductBody"]["properties"]["name"]["maxLength"]

        keep(released, "http", with_longer_names)
        with pytest.raises(Refused) as refused:
            accept(released, ["catalog"])
        agree(released, refused.value)
        keep(released, "http", with_names_without_end)

        with pytest.raises(Refused, match=r"NewProductBody\.name in requests.*nobody has agreed"):
            accept(released, ["catalog"])
        promise = next(promise for promise in promises() if promise.kind == "http")
        fixes = [finding.fix for finding in promise.check(Bench(root=released, only=frozenset({"catalog"})))]
        assert [fix.partition(" (")[0] for fix in fixes] == ["What is agreed there in breaking.toml is another change"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[[change]", "it is no TOML"),
            ("[[changes]]\n", r"it holds changes, and should hold \[\[change\]\] alone"),
            ("change = [1]\n", r"each entry begins with \[\[change\]\]"),
            ('[[change]]\nagreed = [""]\nsince = 2026-12-01T00:00:00\n', r"lacks rule, .*agreed .*since \(a date\)"),
        ],
    )
    def test_agreements_that_cannot_be_read_are_refused_in_words(self, released: Path, text: str, says: str) -> None:
        (released / "modules/catalog/contracts/breaking.toml").write_text(text)
        before = everything(released)

        with pytest.raises(Refused, match=rf"breaking\.toml: .*{says}"):
            accept(released, ["catalog"])
        assert everything(released) == before

    @pytest.mark.parametrize(
        "text",
        [
            "at = ",
            "debts = []\n",
            'at = "2026-11-30"\ndebts = []\n',
            "at = 2026-11-30\ndebts = 1\n",
            "at = 2026-11-30\ndebts = []\nsnapshots = 3\n",
            "at = 2026-11-30\ndebts = []\n[revisions]\nusers = 3\n",
        ],
    )
    def test_a_record_that_somebody_edited_into_nonsense_is_to_be_restored(self, released: Path, text: str) -> None:
        (released / "docs/RELEASED.toml").write_text(text)

        with pytest.raises(Refused, match=r"docs/RELEASED\.toml is not as it was written .*git checkout"):
            accept(released, ["catalog"])

    def test_a_snapshot_that_was_edited_by_hand_is_not_laundered(self, released: Path) -> None:
        snapshot(released, "http").write_text(snapshot(released, "http").read_text() + "\n")

        with pytest.raises(Refused, match="edited by hand or deleted: restore it first"):
            accept(released, ["catalog"])

    def test_a_letter_in_the_outbox_counts_though_the_schema_only_grew(self, released: Path) -> None:
        def without_a_field(document: Any) -> None:
            event = document["events"]["catalog.StockRanLow"]
            del event["schema"]["properties"]["available"]
            event["schema"]["required"].remove("available")
            event["letters"] = [{"product_id": 7, "sku": "text"}]

        keep(released, "events", without_a_field)

        with pytest.raises(Refused, match="events/undecodable"):
            accept(released, ["catalog"])

    def test_a_file_that_cannot_be_written_leaves_all_as_before(self, released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        keep(released, "http", without_a_field_that_is_new)
        before = everything(released)
        replace = Path.replace

        def fail_at_the_record(self: Path, target: Path) -> Path:
            if target.name == "RELEASED.toml":
                raise OSError(28, "No space left on device", str(target))
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", fail_at_the_record)
        with pytest.raises(Refused, match="cannot be written"):
            accept(released, ["catalog"])

        assert everything(released) == before


class TestReleasing:
    def test_every_revision_and_every_snapshot_is_recorded(self, released: Path) -> None:
        record = read_released(released)

        assert record.at == date(2026, 11, 30)
        assert set(record.revisions) == {"kernel", "users", "catalog", "ordering"}
        files = list(released.glob("modules/*/migrations/*.py")) + list(released.glob("platform/kernel/migrations/*.py"))
        assert sum(len(found) for found in record.revisions.values()) == len(files)
        assert set(record.snapshots["ordering"]) >= {"http", "events"}

    def test_nothing_is_recorded_unless_every_contract_holds(self, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = Finding(rule="data/schema", module="users", where="users.x", what="x", fix="y")
        outcome = Outcome(findings=[broken], known=[], gates=[], facts={}, seconds=0)
        monkeypatch.setattr(releasing, "run", lambda *_, **__: outcome)

        with pytest.raises(Refused, match=r"Not every contract holds \(data 1\)"):
            release(house)
        assert not (house / "docs/RELEASED.toml").exists()

    def test_a_second_release_adds_what_is_new(self, released: Path) -> None:
        new = released / "modules/users/migrations/2026_12_01_0000_more.py"
        new.write_text('revision = "abc"\ndown_revision = None\n')

        release(released, today=TODAY)

        assert read_released(released).revisions["users"]["abc"] == checksum(new)
        assert read_released(released).at == TODAY

    @pytest.mark.parametrize("how", ["changed", "deleted"])
    def test_a_released_revision_is_not_laundered(self, released: Path, how: str) -> None:
        file = next(iter(sorted((released / "modules/users/migrations").glob("*.py"))))
        before = (released / "docs/RELEASED.toml").read_text()
        if how == "changed":
            file.write_text(file.read_text() + "\n")
        else:
            file.unlink()

        with pytest.raises(Refused, match="was released on 2026-11-30 and"):
            release(released, today=TODAY)
        assert (released / "docs/RELEASED.toml").read_text() == before

    def test_a_revision_file_without_a_revision_is_named(self, house: Path) -> None:
        (house / "modules/users/migrations/strange.py").write_text("x = 1\n")

        with pytest.raises(ValueError, match=r"modules/users/migrations/strange\.py has no `revision`"):
            revision_checksums(house)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name the modules, or say --all."),
        (["catalog", "--all"], "Name the modules, or say --all."),
        (["warehouse"], "There is no module warehouse; there are catalog, ordering, users."),
    ],
)
def test_a_command_line_that_names_nothing_is_answered_in_a_sentence(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command sets it for its process, which is ours here.
    monkeypatch.setenv("EMPORIUM_MODULES", "all")

    answer = CliRunner().invoke(commands, ["accept", *arguments])

    assert (answer.exit_code, answer.stderr) == (2, f"{sentence}\n")


def test_the_commands_tell_one_sentence_and_leave_the_right_exit_code(tmp_path: Path) -> None:
    house = copy_project(tmp_path / "house")
    (house / "docs/RELEASED.toml").write_text("at = 2026-11-30\ndebts = []\n")
    Replace(file="modules/users/schemas.py", old="class PasswordBody(Body)", new="class SecretBody(Body)").make(house)
    schemas = house / "modules/users/schemas.py"
    schemas.write_text(schemas.read_text() + "\n\nPasswordBody = SecretBody\n")

    refused = contracts(house, "accept", "users")

    assert refused.code == 1
    assert 'rule = "http/renamed-schema"' in refused.output
    assert refused.output.rstrip().endswith("Nothing was written.")
    assert "Traceback" not in refused.output

    schemas.write_text("def broken(:\n")
    unreadable = contracts(house, "accept", "--all")
    assert unreadable.code == 1
    assert "SyntaxError: invalid syntax (schemas.py, line 1)" in unreadable.output
    assert "Traceback" not in unreadable.output
