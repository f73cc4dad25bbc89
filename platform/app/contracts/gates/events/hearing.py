"""Hearing: whether what listeners wait for is promised by those who announce it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.promises.promise import Promise
from app.contracts.promises.served import built
from app.listening import listeners_of

HEARING_RULES: Final = {
    "unknown-event": "A listener waits for an event that its publisher's snapshot promises.",
}


def check_hearing(bench: Bench, promise: Promise) -> Iterator[Finding]:
    modules = built()
    names = {each.module.name for each in modules}
    for each in modules:
        if each.module.name not in bench.facts:
            continue
        for listener in listeners_of(each.module, each.service, names):
            publisher = listener.event.name.partition(".")[0]
            if publisher in bench.facts and not _promised(bench, promise, publisher, listener.event.name):
                source = each.module.listens[publisher].replace(".", "/")
                where = f"modules/{source}.py"
                yield Finding(
                    rule="events/unknown-event",
                    module=each.module.name,
                    where=where if (bench.root / where).exists() else f"modules/{source}/__init__.py",
                    what=f"{listener.name} waits for {listener.event.name}, which {publisher} does not promise.",
                    fix=f"Hear another event, or let {publisher} promise it (`emporium contracts accept {publisher}`).",
                )


def _promised(bench: Bench, promise: Promise, publisher: str, name: str) -> bool:
    """Without a snapshot that can be read, the publisher is told so, and nothing can be said here."""
    try:
        kept = promise.kept(bench.root, publisher)
    except json.JSONDecodeError:
        return True
    return kept is None or name in kept["events"]
