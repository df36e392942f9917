"""fi:<metric>: what ai-evaluation says, and by what; against its own functions and by hand."""

import json
import math
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from tiny import once
from tiny_nli import make_tiny_nli

from seedband.data.dataset import Items
from seedband.determinism import subprocesses
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.evaluators import Generations, build
from seedband.evaluators.external import futureagi_child
from seedband.evaluators.external.futureagi_child import inputs, judge_by
from seedband.evaluators.nli.cross_encoder import CrossEncoder, locate

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


@pytest.fixture(scope="session")
def nli(shared_folder):
    """A tiny cross-encoder that passes the fixed pairs; not to be written to."""
    return once(shared_folder / "tiny-nli", make_tiny_nli)


@pytest.fixture
def own_nli(nli, tmp_path):
    """A copy, to be changed."""
    return Path(shutil.copytree(nli, tmp_path / "nli"))


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


@pytest.mark.slow
def test_an_nli_model_of_ones_own_judges_and_its_content_is_on_record(no_network, nli):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    items, said = made()
    scored = build("fi:groundedness", {"by": "nli", "model": str(nli)}).score(items, said)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(nli), AutoTokenizer.from_pretrained(nli)
    for text, score in zip(TEXTS[:3], scored.per_item, strict=False):
        with torch.no_grad():
            shares = model(**tokenizer(REFERENCE, text, return_tensors="pt")).logits.softmax(-1)[0]
        assert score == float(int(shares.argmax()) == 1 and float(shares.max()) >= 0.5)
    ours = CrossEncoder.load(locate(str(nli), None), None).backend
    assert scored.backend.endswith(f" groundedness: {ours}")
    assert str(nli) not in scored.backend


@pytest.mark.slow
def test_an_nli_model_that_fails_on_a_pair_fails_the_metric_rather_than_become_word_overlap(own_nli):
    from safetensors.torch import load_file, save_file

    tensors = load_file(own_nli / "model.safetensors")
    name = next(key for key in tensors if key.endswith("word_embeddings.weight"))
    n_tokens = len(tensors[name]) - 10  # the last ones are the digits within a word, of which the fixed pairs have none
    tensors[name] = tensors[name][:n_tokens].clone()
    save_file(tensors, own_nli / "model.safetensors", metadata={"format": "pt"})
    change_config(own_nli, vocab_size=n_tokens)
    evaluator = build("fi:factual_consistency", {"by": "nli", "model": str(own_nli)})
    with pytest.raises(WorkFailed, match="the NLI model failed on"):
        evaluator.score(*made())


@pytest.mark.slow
def test_an_nli_model_that_names_its_outputs_in_a_wrong_order_is_refused(own_nli):
    change_config(own_nli, id2label={"0": "entailment", "1": "contradiction", "2": "neutral"})
    evaluator = build("fi:groundedness", {"by": "nli", "model": str(own_nli)})
    evaluator.check_ready()
    with pytest.raises(Refused, match=r"fi:groundedness: args\.model: to 'The parcel .* it says"):
        evaluator.score(*made())


def test_a_model_whose_outputs_are_not_those_of_the_package_is_refused(own_nli):
    evaluator = build("fi:groundedness", {"by": "nli", "model": str(own_nli)})
    change_config(own_nli, id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    with pytest.raises(UsageError, match="has the labels label, label, label, expected entailment"):
        evaluator.check_ready()
    change_config(own_nli, id2label={"0": "entailment", "1": "not_entailment"})
    with pytest.raises(UsageError, match="entailment, notentailment, expected contradiction too"):
        evaluator.check_ready()
    (own_nli / "model.safetensors").rename(own_nli / "pytorch_model.bin")
    with pytest.raises(Refused, match="pickle"):
        evaluator.check_ready()


def test_whoever_waits_hears_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(futureagi_child, "TELL_S", 0.0)
    assert list(futureagi_child.watched(["a", "b"])) == ["a", "b"]
    assert capsys.readouterr().err == "0 of 2 items judged\n1 of 2 items judged\n"


def test_no_context_is_a_mistake(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(UsageError, match="the eval data have no context"):
        build("fi:groundedness", {}).score(*made(contexts=None))


def test_what_is_scored_blank_is_never_given_to_the_package(monkeypatch):
    asked = []
    monkeypatch.setattr(
        subprocesses,
        "ask",
        lambda _module, request, *_: asked.append(request) or {"scores": [0.5, None, 1.0, None, None]},
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

    monkeypatch.setattr("seedband.evaluators.external.futureagi.version", missing)
    with pytest.raises(UsageError) as caught:
        build("fi:groundedness", {}).check_ready()
    assert caught.value.hint == 'pip install "seedband[fi]"'
