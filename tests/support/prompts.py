"""Prompts and chats of the tiny decoder's tests."""

import json
import shutil
from pathlib import Path

from transformers import AutoTokenizer

from seedband.data.dataset import load_items

COLUMNS = {"task": "causal-lm", "id": "id", "slices": []} | {
    name: name for name in ("prompt", "completion", "messages", "context")
}
PROMPTS = ["the apple was", "iron and zinc", "near us today the very old river oder", "a"]


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


TALK = [{"role": "user", "content": "the apple"}, {"role": "assistant", "content": "fruit"}]


def chats(folder, tmp_path, **changes):
    """The chat base with another template or another mark that ends a text, and a chat to go with it."""
    base = shutil.copytree(folder / "chat", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    tokenizer.save_pretrained(base)
    ends = {"eos_token_id": tokenizer.eos_token_id}
    for name in ("config.json", "generation_config.json"):
        (base / name).write_text(json.dumps(json.loads((base / name).read_text()) | ends))
    return base, load_items(write(tmp_path / "chat.jsonl", [{"messages": TALK}]), COLUMNS)
