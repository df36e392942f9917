"""How a row of the matrix is held against plain transformers and PEFT.

It is swept and scored through the real command line; what was recorded is compared with what they say one row of data
at a time, without padding.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import transformers
from architectures import ANSWER, EQUAL, IMAGES, PADDED, SPEECH, UNPADDED, Row, make
from peft import PeftModel
from safetensors.torch import load_file
from tiny import LABELS, Result, run_cli
from torch.nn import functional

from seedband.commands.sweep.prepare import prepare
from seedband.jobs.score import Scorer
from seedband.models.recognise import recognise
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.recipe.parse import load_recipe


class Outcome(NamedTuple):
    """What became of a row: the command's result, and where it ran."""

    done: Result
    folder: Path


def sweep(row: Row, folder: Path) -> Outcome:
    """A row, swept by the real command line."""
    make(row, folder)
    done = run_cli("sweep", "--seeds", "1", "--no-band", "--offline", "--out", "runs", cwd=folder)
    return Outcome(done, folder)


def check(row: Row, outcome: Outcome) -> None:
    """Hold what was recorded against plain transformers and PEFT, and batches of 1 against those of 16."""
    done, folder = outcome
    if row.refused:
        assert done.code in (2, 3), done.err
        assert row.refused in done.err
        return
    assert done.code == 0, done.err
    assert (row.told in done.err) if row.told else (EQUAL not in done.err)
    recorded = pd.read_parquet(folder / "runs" / "seed-0" / "items.parquet")
    kind = _speech if row.task == SPEECH else _classes
    kind(row, folder, recorded)


def _classes(row: Row, folder: Path, recorded: pd.DataFrame) -> None:
    ours = np.stack(list(recorded["logits"]))
    single = scored(folder, 1).logits
    np.testing.assert_allclose(single, ours, atol=1e-4)
    if row.method == "lora":
        np.testing.assert_allclose(ours, _classified(row, folder), atol=1e-4)
    else:
        np.testing.assert_allclose(ours, _classified_by_head(row, folder), atol=1e-4)
    assert len(np.unique(ours.round(5), axis=0)) > 1, "rows that say all the same show nothing"


def _speech(_: Row, folder: Path, recorded: pd.DataFrame) -> None:
    single = scored(folder, 1)
    np.testing.assert_allclose(single.nll, recorded["nll"], rtol=1e-4)
    assert list(single.texts) == list(recorded["prediction"])
    model, tokenizer = _with_adapter(transformers.AutoModelForCausalLM, folder), _tokenizer(folder)
    for content, nll, said in zip(_rows(folder), recorded["nll"], recorded["prediction"], strict=True):
        given = tokenizer(content["prompt"])["input_ids"]
        answer = [*tokenizer(content["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([given + answer]), use_cache=False).logits[0, len(given) - 1 : -1]
            expected = float(functional.cross_entropy(logits, torch.tensor(answer), reduction="sum"))
            asked = {"input_ids": torch.tensor([given]), "attention_mask": torch.ones(1, len(given), dtype=torch.int64)}
            alone = model.generate(**asked, do_sample=False, max_new_tokens=ANSWER)[0, len(given) :]
        np.testing.assert_allclose(nll, expected, rtol=1e-4)
        assert said == tokenizer.decode(alone, skip_special_tokens=True).strip()


def scored(folder: Path, batch_size: int) -> Any:
    """What the run of a folder says in batches of another size."""
    prepared = prepare(load_recipe(folder / "seedband.toml"), offline=True)
    scorer = Scorer(replace(prepared.scoring, batch_size=batch_size), "cpu", {}, FeatureCache(), lambda *_: None)
    return scorer._predict(recognise(folder / "runs" / "seed-0", "run"))


def _classified(row: Row, folder: Path) -> Any:
    auto = transformers.AutoModelForSequenceClassification
    model = _with_adapter(transformers.AutoModelForImageClassification if row.task == IMAGES else auto, folder)
    return _logits(row, folder, model, model.base_model.model)


def _classified_by_head(row: Row, folder: Path) -> Any:
    auto = transformers.AutoModelForSequenceClassification
    model = _loaded(transformers.AutoModelForImageClassification if row.task == IMAGES else auto, folder).eval()
    _, unexpected = model.load_state_dict(load_file(folder / "runs" / "seed-0" / "head.safetensors"), strict=False)
    assert not unexpected
    return _logits(row, folder, model, model)


def _logits(row: Row, folder: Path, model: Any, classifier: Any) -> Any:
    """Logits of every eval row by itself."""
    if row.tokens in (UNPADDED, PADDED):
        classifier.config.pad_token_id = None  # the last token is the row's, whatever it is: nothing is padded
    with torch.no_grad():
        found = [model(**given).logits[0] for given in _given(row, folder)]
    return torch.stack(found).numpy()


def _given(row: Row, folder: Path) -> list[Any]:
    if row.task == IMAGES:
        from PIL import Image

        processor = transformers.AutoImageProcessor.from_pretrained(folder / "base", backend="pil")
        return [processor(Image.open(folder / content["image"]), return_tensors="pt") for content in _rows(folder)]
    tokenizer = _tokenizer(folder)
    return [tokenizer(content["text"], return_tensors="pt") for content in _rows(folder)]


def _with_adapter(auto: Any, folder: Path) -> Any:
    return PeftModel.from_pretrained(_loaded(auto, folder), folder / "runs" / "seed-0").eval()


def _loaded(auto: Any, folder: Path) -> Any:
    speaks = auto is transformers.AutoModelForCausalLM
    return auto.from_pretrained(folder / "base", dtype=torch.float32, **({} if speaks else {"num_labels": len(LABELS)}))


def _tokenizer(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder / "base")


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "eval.jsonl").read_text(encoding="utf-8").splitlines()]
