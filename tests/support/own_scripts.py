"""Training scripts of users, tiny: what method `command` runs in tests."""

import shutil
from pathlib import Path

from tiny import Tiny, recipe_text

#: Perturbs a head that was trained before: a draw from the seed, and nothing of torch.
HEAD = """
import argparse, shutil, sys, time
import numpy as np
from safetensors.numpy import load_file, save_file

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--out")
arguments = parser.parse_args()
draw = np.random.default_rng(SEED)
for step in range(5):
    print({"loss": round(float(draw.random()), 6), "epoch": step})
tensors = load_file("start/head.safetensors")
changed = {name: tensor + 0.02 * draw.normal(size=tensor.shape).astype("float32") for name, tensor in tensors.items()}
save_file(changed, f"{arguments.out}/head.safetensors")
shutil.copy("start/head.json", arguments.out)
"""
COMMAND = '"python train.py --seed {seed} --out {out}"'


def command_text(**changes: str) -> str:
    """The tiny recipe with a command in place of a method of ours; keys are section_key, values are TOML."""
    text = recipe_text()
    tables = {
        "model": {"base": '"base"', "max_length": "32"},
        "data": {"name": '"tiny"', "train": '"train.jsonl"', "eval": '"eval.jsonl"', "slices": '["channel"]'},
        "train": {"method": '"command"', "command": COMMAND},
    }
    for name, value in changes.items():
        section, _, key = name.partition("_")
        tables.setdefault(section, {})[key] = value
    lines = [
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) for name, keys in tables.items()
    ]
    return "\n\n".join([*lines, text[text.index("[[evaluate]]") :]])


def make_command_recipe(heads: Tiny, folder: Path, script: str = HEAD, **changes: str) -> Tiny:
    """A folder whose recipe runs a script that starts from a trained head."""
    for name in ("base", "train.jsonl", "eval.jsonl"):
        (shutil.copytree if (heads.folder / name).is_dir() else shutil.copyfile)(heads.folder / name, folder / name)
    (folder / "start").mkdir()
    for name in ("head.json", "head.safetensors"):
        shutil.copyfile(heads.runs / "seed-0" / name, folder / "start" / name)
    (folder / "train.py").write_text(script.replace("SEED", "arguments.seed"), encoding="utf-8")
    (folder / "seedband.toml").write_text(command_text(**changes), encoding="utf-8")
    return Tiny(folder)
