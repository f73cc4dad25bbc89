"""`emporium catalog …` as people run it: a process of its own, on a database with the application's timeouts."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.catalog.factories import Shelf, ignore
from tests.flows._shops import EMPORIUM, environment, heeding_signals, until

from catalog.service import ProductLine

Run = Callable[..., "subprocess.CompletedProcess[str]"]

MEMORY = """
import resource, sys
from app.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB", file=sys.stderr)
"""


IMPORTING = (
    "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database() AND objsubid = 2"
)


@pytest.fixture
def run(database_environment: dict[str, str]) -> Run:
    def emporium(*arguments: str | Path, command: tuple[str | Path, ...] = (EMPORIUM,)) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "catalog", *arguments],
            env=environment(**database_environment),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return emporium


def generated(path: Path, lines: int, *, price: str = "9.99", stock: int = 5) -> Path:
    """A file of many products."""
    with path.open("w", encoding="utf-8") as file:
        file.write("sku,name,description,price,stock,status\n")
        for n in range(lines):
            file.write(f'S-{n:07},Product {n},"A sentence, with a comma, about product {n}.",{price},{stock},published\n')
    return path


def test_a_file_goes_in_and_comes_out_the_same(run: Run, shelf: Shelf, tmp_path: Path) -> None:
    source = generated(tmp_path / "products.csv", 3)
    done = run("import", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Import of {source}: 3 created, 0 changed, 0 unchanged, 0 bad.\n"
    assert run("export").stdout == source.read_text()
    assert run("import", source).stdout.endswith("0 created, 0 changed, 3 unchanged, 0 bad.\n")


def test_bad_lines_end_with_exit_code_1_and_no_traceback(run: Run, shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("sku,name,price\nA,a,1\nB,b,x\n")
    done = run("import", path)
    assert done.returncode == 1
    assert done.stderr.startswith("Line 3, price: ")
    assert "Traceback" not in done.stderr
    assert shelf.skus() == []


@pytest.mark.parametrize("content", [None, bytes(range(256))])
def test_files_that_cannot_be_imported_are_told_in_one_sentence(run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "products.csv"
    if content is not None:
        path.write_bytes(content)
    done = run("import", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr


def test_a_wrong_option_is_a_wrong_use(run: Run) -> None:
    done = run("import", "x.csv", "--colour")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help_says_what_the_columns_mean(run: Run) -> None:
    told = run("import", "--help").stdout
    for word in ("sku, name, description, price, stock, status", "--dry-run", "--skip-bad-lines", "--report"):
        assert word in told


def test_a_terminal_sees_progress_and_a_pipe_does_not(
    database_environment: dict[str, str], tmp_path: Path, shelf: Shelf
) -> None:
    source = generated(tmp_path / "products.csv", 5000)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [EMPORIUM, "catalog", "import", source],
        env=environment(**database_environment, TERM="xterm"),
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b"".join(_until_closed(ours))
        process.wait(60)
    os.close(ours)
    assert b"Reading" in seen or b"Storing" in seen
    assert len(shelf.skus()) == 5000


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            return
        if not part:
            return
        yield part


def test_ctrl_c_in_the_middle_stores_nothing_and_leaves_no_import_behind(
    database_environment: dict[str, str], tmp_path: Path, shelf: Shelf, run: Run
) -> None:
    source = generated(tmp_path / "products.csv", 60_000)
    with heeding_signals():
        process = subprocess.Popen(
            [EMPORIUM, "catalog", "import", source],
            env=environment(**database_environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    until(lambda: shelf.query(IMPORTING), "the import began")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert shelf.skus() == []
    until(lambda: run("import", generated(tmp_path / "small.csv", 1)).returncode == 0, "another import can run")


def test_lines_are_not_kept(shelf: Shelf) -> None:
    def lines() -> Iterator[ProductLine]:
        for n in range(15_000):
            yield ProductLine(line=n + 2, sku=f"S-{n}", name="x" * 100, price=Decimal(1), description="y" * 400)

    tracemalloc.start()
    try:
        shelf.catalog.import_products(lines=lines(), describes=True, report=ignore)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of them together are 7.5 MB of text.
    assert peak < 5_000_000


@pytest.mark.prove
def test_200_000_lines_come_in_change_and_go_out(
    run: Run, shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints how long each took, and how much memory."""
    python = (sys.executable, "-c", MEMORY)
    runs = [
        ("created", generated(tmp_path / "new.csv", 200_000), "200,000 created, 0 changed, 0 unchanged, 0 bad."),
        ("unchanged", tmp_path / "new.csv", "0 created, 0 changed, 200,000 unchanged, 0 bad."),
        (
            "changed",
            generated(tmp_path / "changed.csv", 200_000, price="8.88", stock=7),
            "0 created, 200,000 changed, 0 unchanged, 0 bad.",
        ),
    ]
    lines = []
    for what, path, told in runs:
        begun = time.monotonic()
        done = run("import", path, command=python)
        lines.append(f"200,000 lines {what}: {time.monotonic() - begun:.1f} s, {done.stderr.strip()}")
        assert counts_of(done) == told, done
        assert int(done.stderr.split()[-2]) < 200
    begun = time.monotonic()
    done = run("export", tmp_path / "export.csv", command=python)
    lines.append(f"200,000 lines exported: {time.monotonic() - begun:.1f} s, {done.stderr.strip()}")
    assert (tmp_path / "export.csv").read_bytes() == (tmp_path / "changed.csv").read_bytes()
    with capsys.disabled():
        print("", *lines, sep="\n  ")  # noqa: T201 -- figures


def counts_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.strip().rpartition(": ")[2]
