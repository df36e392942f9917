"""scikit-learn's digits as PNG files in a folder for each label, and a recipe for them on a tiny ViT."""

import json
from collections.abc import Sequence
from pathlib import Path

import tomli_w
from PIL import Image

LABELS = (0, 1, 2)


def write_digits(folder: Path, first: int, count: int) -> Path:
    """The digits 0 to 2 from the `first` on, 8 × 8 pixels each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = [row for row, label in enumerate(digits.target) if label in LABELS][first : first + count]
    for row in rows:
        path = folder / str(digits.target[row]) / f"{row:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[row] * 15).astype("uint8")).save(path)
    return folder


def write_list(folder: Path, path: Path) -> Path:
    """The images of a folder as JSONL, in the order in which the folder is read."""
    images = sorted(folder.glob("*/*.png"))
    rows = [
        {"id": name, "image": f"{folder.name}/{name}", "label": image.parent.name}
        for image in images
        for name in [image.relative_to(folder).as_posix()]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_digits(folder: Path) -> None:
    """Base, data as folders and as lists, and recipe."""
    from tiny_vit import make_tiny_vit

    make_tiny_vit(folder / "base")
    for name, first, count in (("train", 0, 96), ("eval", 96, 60)):
        write_list(write_digits(folder / name, first, count), folder / f"{name}.jsonl")
    write_recipe(folder)


def write_recipe(folder: Path, data: Sequence[str] = ("train", "eval"), **changes: dict[str, object]) -> None:
    """The recipe, some of its sections changed."""
    sections: dict[str, dict[str, object]] = {
        "model": {"base": "base", "task": "image-classification"},
        "data": {"name": "digits", "train": data[0], "eval": data[1]},
        "train": {"method": "lora", "epochs": 6, "batch_size": 16, "learning_rate": 1e-2},
        "lora": {"r": 4, "dropout": 0.1, "target_modules": "all-linear"},
    }
    changed = {name: {**sections.get(name, {}), **changes.get(name, {})} for name in {**sections, **changes}}
    asked = [{"evaluator": "accuracy", "primary": True}, {"evaluator": "log_loss"}]
    (folder / "seedband.toml").write_text(tomli_w.dumps({**changed, "evaluate": asked}), encoding="utf-8")
