"""Whole models as other tools leave them: each is scored as by plain transformers, or refused with a reason."""

import json
from typing import Any

import numpy as np
import pytest
from conftest import once
from tiny import generation_text, recipe_text, run_cli, write_prompts, write_rows
from whole_layouts import BASES, WHOLE, auto_class

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
LAYOUTS = [pytest.param(layout, id=layout.name, marks=[] if layout.fast else pytest.mark.slow) for layout in WHOLE]


def make_swept(name, folder) -> None:
    """A band of two seeds; how good they are does not matter."""
    make, targets, texts = BASES[name]
    make(folder / "base")
    (folder / "telling.py").write_text(TELLING, encoding="utf-8")
    write, text = (write_prompts, generation_text) if texts else (write_rows, recipe_text)
    write(folder / "train.jsonl", 24, 1)
    write(folder / "eval.jsonl", 12, 2)
    own = {"generation_max_new_tokens": str(MAX_NEW_TOKENS)} if texts else {}
    recipe = text(model_base='"base"', train_epochs="1", lora_target_modules=json.dumps(targets), **own)
    recipe = recipe.replace("primary = true\n", "\n", 1)
    recipe += '\n[[evaluate]]\nevaluator = "python:telling:told"\nprimary = true\nargs = { higher_is_better = true }\n'
    (folder / "seedband.toml").write_text(recipe, encoding="utf-8")
    done = run_cli("sweep", "--seeds", "2", "--offline", "--out", "runs", "-q", cwd=folder)
    assert done.code == 0, done.err


def said_by_hand(model: Any, texts: bool, base, own, rows) -> tuple[Any, list[str]]:
    """Logits of every row, or log-likelihoods and answers: one row at a time, without padding."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    speller = AutoTokenizer.from_pretrained(own if (own / "tokenizer.json").is_file() else base)
    numbers, answers = [], []
    with torch.inference_mode():
        for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines()):
            if not texts:
                numbers.append(model(**tokenizer(row["text"], return_tensors="pt")).logits[0].double().tolist())
                continue
            prompt = tokenizer(row["prompt"])["input_ids"]
            said = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            logits = model(input_ids=torch.tensor([[*prompt, *said]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            numbers.append(-float(logits.float().log_softmax(-1)[range(len(said)), said].sum()))
            given = torch.tensor([prompt])
            answer = model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                do_sample=False,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )[0, len(prompt) :]
            answers.append(speller.decode(answer, skip_special_tokens=True).strip())
    return numbers, answers


@pytest.mark.filterwarnings("ignore")  # of transformers, by hand
@pytest.mark.parametrize("layout", LAYOUTS)
def test_whole_model_is_scored_as_by_hand_or_refused_with_a_reason(layout, shared_folder, tmp_path):
    swept = once(shared_folder / f"whole-{layout.base}", lambda folder: make_swept(layout.base, folder))
    candidate, said = tmp_path / "candidate", tmp_path / "said.json"
    layout.make(candidate, swept / "base")
    done = run_cli("check", candidate, "--offline", cwd=swept, env={"SAID": str(said)})
    if layout.refused:
        assert done.code == layout.code, done.err
        assert layout.refused in done.err
        return
    assert done.code in (0, 1, 4), done.err
    texts = BASES[layout.base][2]
    auto = auto_class(texts)
    plain = layout.by_hand or (lambda folder, auto: auto.from_pretrained(folder, dtype="float32", return_dict=True))
    numbers, answers = said_by_hand(
        plain(candidate, auto).eval(), texts, swept / "base", candidate, swept / "eval.jsonl"
    )
    found = json.loads(said.read_text(encoding="utf-8"))
    assert np.abs(np.array(found["numbers"]) - np.array(numbers)).max() < NEAR
    assert found["texts"] == answers
