"""Golden files of what commands write and print, with what changes from call to call masked.

`SEEDBAND_WRITE_GOLDEN=1 pytest tests/test_golden_outputs.py` writes them again. What training gives is equal to the
last digit where libraries and numerics are those of the golden files, and has the same form elsewhere.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from tiny import ROOT

OUTPUTS = ROOT / "tests" / "golden" / "outputs"
ENVIRONMENT = OUTPUTS / "environment.json"
WRITES = bool(os.environ.get("SEEDBAND_WRITE_GOLDEN"))
#: Keys that tell when, how fast and on what machine, and hashes of files that hold such: the keys stay.
VOLATILE = {
    "environment", "env", "hardware", "versions", "train_seconds", "seconds", "made_by", "time", "command",
    "fingerprint", "band_sha256", "band_before_sha256", "items_sha256", "items",
}  # fmt: skip


def masked(document: Any, folder: Path, key: str = "") -> Any:
    """A JSON document without what differs from call to call."""
    if key in VOLATILE:
        return dict.fromkeys(document, "<masked>") if isinstance(document, dict) else "<masked>"
    if isinstance(document, dict):
        return {name: masked(value, folder, name) for name, value in document.items()}
    if isinstance(document, list):
        return [masked(value, folder) for value in document]
    return placeless(document, folder) if isinstance(document, str) else document


def placeless(text: str, folder: Path) -> str:
    """A text without the folder it was made in, times, durations and versions."""
    for place, name in ((folder.resolve(), "<folder>"), (folder, "<folder>"), (Path(sys.executable).parent, "<bin>")):
        text = text.replace(str(place), name)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( ?UTC|Z|[+-]\d\d:?\d\d)?", "<time>", text)
    text = re.sub(r"\b\d+(\.\d+)? (s|ms|min)\b", "<duration>", text)
    return re.sub(r"seedband \d+\.\d+\.\d+\S*", "seedband <version>", text)


def form(document: Any) -> Any:
    """Keys and types of a document."""
    if isinstance(document, dict):
        return {name: form(value) for name, value in document.items()}
    if isinstance(document, list):
        return [form(value) for value in document]
    return "number" if isinstance(document, int | float) else type(document).__name__


def same_numerics(run: Path) -> bool:
    """Whether the golden files were written under numerics and libraries like those of a run."""
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))["signature"]["environment"]
    known = json.loads(ENVIRONMENT.read_text(encoding="utf-8")) if ENVIRONMENT.is_file() else {}
    if WRITES:  # what decodes images is on record for their tasks alone
        golden(ENVIRONMENT.name, as_text({**known, **found}))
        return True
    return all(known.get(name) == value for name, value in found.items())


def golden(name: str, found: str) -> str:
    """The golden text of a name; it is written first where that is asked for."""
    path = OUTPUTS / name
    if WRITES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def as_text(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
