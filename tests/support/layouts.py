"""Checkpoints as other tools leave them: how a layout is made, and what has to become of it.

A layout is scored through the real command line and by hand, by plain transformers and PEFT, one row at a time and
without padding. Tables of layouts (adapter_layouts.py, whole_layouts.py) have this form; the reference page is written
from them.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layout_bases import Base, auto_class, labelled
from tiny import generation_text, recipe_text, run_cli, write_prompts, write_rows

#: How far a logit or a log-likelihood may lie from the one by hand.
NEAR = 1e-4
MAX_NEW_TOKENS = 6
#: Of a band's recipe: writes what was predicted where the environment says, and scores nothing.
TELLING = """
import json, os

def told(items, predictions):
    if "SAID" in os.environ:
        texts = hasattr(predictions, "texts")
        numbers = predictions.nll if texts else predictions.logits
        said = {"numbers": numbers.tolist(), "texts": list(predictions.texts) if texts else []}
        with open(os.environ["SAID"], "w") as file:
            json.dump(said, file)
    return 0.5
"""


@dataclass(frozen=True)
class Layout:
    """One way in which a checkpoint comes.

    Attributes:
        name: As the reference page calls it.
        base: Key of `BASES`: what it was made of, and what the band stands on.
        make: Writes it to a folder, given that and its base's.
        refused: A part of the message; empty where it is scored.
        code: The exit code where it is refused.
        by_hand: The model as plain transformers and PEFT open it, given folder, base and auto class; they open a
            model or an adapter by one call each, unless said.
        fast: Whether it is tried in the fast suite, too.
    """

    name: str
    base: str
    make: Callable[[Path, Path], Any]
    refused: str = ""
    code: int = 3
    by_hand: Callable[[Path, Path, Any], Any] | None = None
    fast: bool = False


def make_swept(base: Base, folder: Path) -> None:
    """A band of two seeds; how good they are does not matter."""
    base.make(folder / "base")
    (folder / "telling.py").write_text(TELLING, encoding="utf-8")
    train, text = (write_prompts, generation_text) if base.texts else (write_rows, recipe_text)
    train(folder / "train.jsonl", 24, 1)
    train(folder / "eval.jsonl", 12, 2)
    own = {"generation_max_new_tokens": str(MAX_NEW_TOKENS)} if base.texts else {}
    recipe = text(
        model_base='"base"',
        train_epochs="1",
        lora_r="4",
        lora_alpha="8",
        lora_target_modules=json.dumps(list(base.targets)),
        **own,
    )
    recipe = recipe.replace("primary = true\n", "\n", 1)
    recipe += '\n[[evaluate]]\nevaluator = "python:telling:told"\nprimary = true\nargs = { higher_is_better = true }\n'
    (folder / "seedband.toml").write_text(recipe, encoding="utf-8")
    done = run_cli("sweep", "--seeds", "2", "--offline", "--out", "runs", "-q", cwd=folder)
    assert done.code == 0, done.err


def opened_by_hand(layout: Layout, base: Base, folder: Path, base_folder: Path) -> Any:
    """A checkpoint as plain transformers and PEFT open it."""
    from peft import PeftModel

    if layout.by_hand is not None:
        return layout.by_hand(folder, base_folder, auto_class(base)).eval()
    if not (folder / "adapter_config.json").is_file():
        return auto_class(base).from_pretrained(folder, dtype="float32", return_dict=True).eval()
    model = auto_class(base).from_pretrained(base_folder, dtype="float32", **labelled(base))
    return PeftModel.from_pretrained(model, folder).eval()


def said_by_hand(model: Any, base: Base, base_folder: Path, own: Path, rows: Path) -> tuple[Any, list[str]]:
    """Logits of every row and no texts, or log-likelihoods and answers: one row at a time, without padding.

    Answers are spelt by the checkpoint's own tokenizer, where it brings one.
    """
    torch: Any = importlib.import_module("torch")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    speller = AutoTokenizer.from_pretrained(own if (own / "tokenizer.json").is_file() else base_folder)
    numbers, texts = [], []
    with torch.inference_mode():
        for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines()):
            if not base.texts:
                batch = tokenizer(row["text"], return_tensors="pt")
                numbers.append(model(**batch).logits[0].double().tolist())
                continue
            prompt = tokenizer(row["prompt"])["input_ids"]
            said = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            logits = model(input_ids=torch.tensor([[*prompt, *said]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            chosen = logits.float().log_softmax(-1)[range(len(said)), said]
            numbers.append(-float(chosen.sum()))
            given = torch.tensor([prompt])
            answer = model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                do_sample=False,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )[0, len(prompt) :]
            texts.append(speller.decode(answer, skip_special_tokens=True).strip())
    return numbers, texts
