"""The tiny recipe that tests sweep, and the real command line in a process of its own."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "fixtures"))

LABELS = ("fruit", "metal", "river")
WORDS = {
    "fruit": ["apple", "pear", "plum", "fig", "kiwi", "lime"],
    "metal": ["iron", "gold", "zinc", "tin", "lead", "brass"],
    "river": ["rhine", "nile", "oder", "tiber", "volga", "seine"],
}
#: What a language model shall say to each; of different lengths.
SAID = {"fruit": " a fruit", "metal": " a very old metal", "river": " the river near us today"}
FILLER = ["the", "a", "was", "very", "old", "new", "and", "seen", "today", "near", "us", "it"]

#: Seconds after which what was waited for will never come: no test turns on it, however busy the machine is.
PATIENCE_S = 600.0

#: Imported by every Python process: who asks the network is told, and written down.
NO_NETWORK = """
import os, socket, traceback

def refuse(*_args, **_kwargs):
    with open(os.environ["NETWORK_ASKED"], "a") as file:
        file.write("".join(traceback.format_stack()) + "\\n")
    raise OSError("there is no network in this test")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
"""


class Tiny(NamedTuple):
    """A folder with a recipe, its data, its base, and after `swept` its runs and band."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "seedband.toml"

    @property
    def band(self) -> Path:
        return self.folder / "band.json"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"


class Result(NamedTuple):
    code: int
    out: str
    err: str


def write_rows(path: Path, count: int, seed: int, noise: float = 0.2) -> None:
    """Rows of words whose label is that of most of them; a share of labels is noise."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            label = draw.choice(LABELS)
            words = draw.choices(WORDS[label], k=2) + draw.choices(FILLER, k=4)
            words += draw.choices(WORDS[draw.choice(LABELS)], k=1)
            draw.shuffle(words)
            shown = draw.choice(LABELS) if draw.random() < noise else label
            row = {"id": f"{path.stem}-{number}", "text": " ".join(words), "label": shown}
            file.write(json.dumps({**row, "channel": draw.choice(["chat", "email"])}) + "\n")


def recipe_text(**changes: str) -> str:
    """The tiny recipe; keys are section_key, values are TOML."""
    sections = {
        "model": {"base": '"base"', "max_length": "32"},
        "data": {"name": '"tiny"', "train": '"train.jsonl"', "eval": '"eval.jsonl"', "slices": '["channel"]'},
        "train": {"method": '"lora"', "epochs": "8", "batch_size": "16", "learning_rate": "1e-2"},
        "lora": {"r": "8", "alpha": "16", "dropout": "0.1", "target_modules": '"all-linear"'},
    }
    for name, value in changes.items():
        section, _, key = name.partition("_")
        sections.setdefault(section, {})[key] = value
    lines = [
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) for name, keys in sections.items()
    ]
    lines.append('[[evaluate]]\nevaluator = "accuracy"\nprimary = true')
    lines += [f'[[evaluate]]\nevaluator = "{name}"' for name in ("f1_macro", "log_loss")]
    return "\n\n".join(lines) + "\n"


def run_cli(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Result:
    """The real command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "seedband", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def gone(pid: int) -> bool:
    """Whether a process ends: the kernel ends a job after its parent."""
    end = time.monotonic() + PATIENCE_S / 5
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def make_recipe(folder: Path) -> None:
    """Base, data and recipe."""
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(folder / "base", pooling=True)
    write_rows(folder / "train.jsonl", 240, seed=1)
    write_rows(folder / "eval.jsonl", 150, seed=2)
    (folder / "seedband.toml").write_text(recipe_text(), encoding="utf-8")


def write_prompts(path: Path, count: int, seed: int) -> None:
    """Rows of a prompt that names a thing, and what shall be said of its kind; their lengths differ."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            label = draw.choice(LABELS)
            words = [*draw.choices(FILLER, k=draw.randint(1, 5)), draw.choice(WORDS[label]), "is"]
            row = {"id": f"{path.stem}-{number}", "prompt": " ".join(words), "completion": SAID[label]}
            file.write(json.dumps({**row, "channel": draw.choice(["chat", "email"])}) + "\n")


def generation_text(**changes: str) -> str:
    """The tiny recipe of a language model; keys are section_key, values are TOML."""
    ours = {
        "model_task": '"causal-lm"',
        "model_max_length": "48",
        "train_epochs": "4",
        "train_batch_size": "8",
        "train_learning_rate": "2e-2",
        "generation_max_new_tokens": "8",
    }
    text = recipe_text(**{**ours, **changes})
    metrics = ["reference_nll", "rouge_l", "exact_match"]
    parts = [f'[[evaluate]]\nevaluator = "{name}"' for name in metrics]
    parts[0] += "\nprimary = true"
    return text[: text.index("[[evaluate]]")] + "\n\n".join(parts) + "\n"


def make_generation_recipe(folder: Path) -> None:
    """Base with dropout in its attention, data and recipe of a language model."""
    from tiny_decoder import make_tiny_decoder

    make_tiny_decoder(folder / "base", attention_dropout=0.1)
    write_prompts(folder / "train.jsonl", 48, seed=1)
    write_prompts(folder / "eval.jsonl", 30, seed=2)
    (folder / "seedband.toml").write_text(generation_text(), encoding="utf-8")


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder once, whichever worker comes first."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder
