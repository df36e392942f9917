"""fi:<metric>: what ai-evaluation says, and by what; against its own functions and by hand."""

import json
import math
import socket
from pathlib import Path

import numpy as np
import pytest

from seedband import children
from seedband.dataset import Items
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.evaluators import Generations, build
from seedband.evaluators.ai_evaluation import inputs, judge_by

REFERENCE = "The refund of 40 euros was sent to the customer."
TEXTS = (
    "The refund of 40 euros was sent to the customer.",
    "The refund of 70 euros was sent to the customer.",
    "A parcel was lost in transit.",
    "Refund sent.",
    "  ",
)
N = len(TEXTS)


def made(texts=TEXTS, contexts=(REFERENCE,) * N):
    names = tuple(map(str, range(N)))
    items = Items(Path("x"), names, ("Summarise the ticket",) * N, (REFERENCE,) * N, {}, "", contexts=contexts)
    return items, Generations(tuple(texts), np.ones(N), np.ones(N, dtype=np.int64), 100)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Children that ask the network are told so, and it is written down."""
    from tiny import NO_NETWORK, ROOT

    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("NETWORK_ASKED", str(tmp_path / "asked.txt"))
    return tmp_path / "asked.txt"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "expected", "how"),
    [
        # The number of the second is none of the reference's: a contradiction, which counts double, and not below 0.
        # The third shares no word: neutral, worth 0.4. Nothing of less than three words is a claim.
        ("factual_consistency", [1.0, 0.0, 0.4, math.nan, math.nan], "word overlap with the reference"),
        ("groundedness", [1.0, 0.0, 0.0, math.nan, math.nan], "word overlap with the context"),
        # 0.2 for a last step, 0.2 for no criteria, and half the share of the reference's 5 keywords; a text that stands
        # in the reference, however short, has 0.9 of it.
        (
            "task_completion",
            [0.9, 0.4 + 0.5 * 4 / 5, 0.4, 0.4 + 0.5 * 2 / 5, math.nan],
            "keyword overlap with the reference, in a trajectory of one step",
        ),
    ],
)
def test_scores_are_the_packages_and_say_by_what(no_network, metric, expected, how):
    scored = build(f"fi:{metric}", {}).score(*made())
    np.testing.assert_allclose(scored.per_item, expected, atol=1e-4)
    assert scored.score == pytest.approx(np.nanmean(expected), abs=1e-4)
    assert scored.backend == f"ai-evaluation {scored.backend.split()[1]} {metric}: {how}"
    assert scored.backend.split()[1][0].isdigit()
    assert scored.details == {"nothing_to_judge": sum(map(math.isnan, expected))}
    assert not no_network.exists(), no_network.read_text()


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    """A tiny cross-encoder with random weights that names its outputs as NLI models do."""
    from tiny_encoder import make_tiny_encoder
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = make_tiny_encoder(tmp_path_factory.mktemp("nli") / "nli")
    config = AutoConfig.from_pretrained(folder)
    names = ("contradiction", "entailment", "neutral")
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_an_nli_model_of_ones_own_judges_and_its_weights_are_on_record(no_network, nli):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from seedband.models import weights_sha256

    items, said = made()
    scored = build("fi:groundedness", {"by": "nli", "model": str(nli)}).score(items, said)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(nli), AutoTokenizer.from_pretrained(nli)
    for text, score in zip(TEXTS[:3], scored.per_item, strict=False):
        with torch.no_grad():
            shares = model(**tokenizer(REFERENCE, text, return_tensors="pt")).logits.softmax(-1)[0]
        assert score == float(int(shares.argmax()) == 1 and float(shares.max()) >= 0.5)
    assert f"groundedness: nli {nli} sha256 {weights_sha256(nli)[:12]}" in scored.backend


@pytest.mark.slow
def test_an_nli_model_that_fails_on_a_pair_fails_the_metric_rather_than_become_word_overlap(nli, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(nli, tmp_path / "broken"))
    tensors = load_file(broken / "model.safetensors")
    name = next(key for key in tensors if key.endswith("word_embeddings.weight"))
    config = json.loads((broken / "config.json").read_text())
    tensors[name] = tensors[name][:5].clone()
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    (broken / "config.json").write_text(json.dumps({**config, "vocab_size": 5, "pad_token_id": 0}))
    evaluator = build("fi:factual_consistency", {"by": "nli", "model": str(broken)})
    with pytest.raises(WorkFailed, match="the NLI model failed on"):
        evaluator.score(*made())


def test_a_model_whose_outputs_have_no_names_is_refused_for_the_package_takes_them_for_neutral(tmp_path):
    from tiny_encoder import make_tiny_encoder

    folder = make_tiny_encoder(tmp_path / "plain")
    with pytest.raises(UsageError, match="labels label_0, label_1, expected contradiction, entailment, neutral"):
        build("fi:groundedness", {"by": "nli", "model": str(folder)}).check_ready()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Refused, match="pickle"):
        build("fi:groundedness", {"by": "nli", "model": str(folder)}).check_ready()


def test_no_context_is_a_mistake(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(UsageError, match="the eval data have no context"):
        build("fi:groundedness", {}).score(*made(contexts=None))


def test_what_is_scored_blank_is_never_given_to_the_package(monkeypatch):
    asked = []
    monkeypatch.setattr(
        children, "ask", lambda _module, request, *_: asked.append(request) or {"scores": [0.5, None, 1.0, None, None]}
    )
    scored = build("fi:groundedness", {}).score(*made())
    assert scored.score == 0.75
    assert asked[0]["rows"][0] == ("Summarise the ticket", TEXTS[0], REFERENCE)
    assert scored.details == {"nothing_to_judge": 3}
    assert inputs("groundedness", "q", "t", "c") == {"query": "q", "response": "t", "contexts": ["c"]}


def test_a_package_that_keeps_its_model_elsewhere_is_not_trusted_to_choose():
    with pytest.raises(WorkFailed, match="is not known"):
        judge_by(object(), None)


@pytest.mark.parametrize(
    ("name", "args", "told"),
    [
        ("fi:toxicity", {}, "no such metric"),
        ("fi:groundedness", {"by": "turing"}, "by: found 'turing', expected one of overlap, nli"),
        ("fi:task_completion", {"by": "nli", "model": "m"}, "by: found 'nli', expected one of overlap"),
        ("fi:groundedness", {"by": "nli"}, "needs a model"),
        ("fi:groundedness", {"model": "m"}, "needs a model, and nothing else takes one"),
        ("fi:groundedness", {"by": "nli", "model": 3}, "model and revision are texts"),
        ("fi:groundedness", {"metric": "task_completion"}, "metric is its name"),
        ("fi:groundedness", {"threshold": 0.5}, "unexpected keyword argument 'threshold'"),
    ],
)
def test_arguments_that_it_does_not_take_are_mistakes(name, args, told):
    with pytest.raises(UsageError) as caught:
        build(name, args)
    assert told in str(caught.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr("seedband.evaluators.fi.version", missing)
    with pytest.raises(UsageError) as caught:
        build("fi:groundedness", {}).check_ready()
    assert caught.value.hint == 'pip install "seedband[fi]"'
