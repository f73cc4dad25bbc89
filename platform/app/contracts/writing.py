"""Writing: several files at once, or none of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_all(texts: Mapping[Path, str | None]) -> None:
    """Put each file's text in its place; None deletes the file. When one fails, all are as before. Errors: OSError."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    new = {path: path.with_name(f".{path.name}.new") for path, text in texts.items() if text is not None}
    try:
        for path, beside in new.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(texts[path] or "", encoding="utf-8", newline="\n")
        for path in texts:
            if path in new:
                new[path].replace(path)
            else:
                path.unlink(missing_ok=True)
    except OSError:
        for path, content in before.items():
            with suppress(OSError):
                if content is None:
                    path.unlink(missing_ok=True)
                elif path.read_bytes() != content:
                    path.write_bytes(content)
        raise
    finally:
        for beside in new.values():
            with suppress(OSError):
                beside.unlink(missing_ok=True)
