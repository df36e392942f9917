"""factual_consistency and groundedness, on a tiny cross-encoder that holds everything entailed.

But: "not" in a sentence makes a contradiction; "unknown" in the premise and words of nothing but x are neutral.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import once, run_cli
from tiny_decoder import make_tiny_decoder
from tiny_encoder import make_tiny_encoder
from tiny_nli import make_tiny_nli

from seedband.commands.sweep.prepare import prepare
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.evaluators import Generations, build, describe
from seedband.evaluators.nli.cross_encoder import CrossEncoder, locate
from seedband.models import bases
from seedband.recipe.parse import load_recipe
from seedband.testing import check_evaluator, make_items

BOTH = pytest.mark.parametrize("name", ["factual_consistency", "groundedness"])
CLEAR = "the lamp broke"
COMMIT = "0123456789" * 4


@pytest.fixture(scope="session")
def shared_nli(shared_folder) -> Path:
    """Not to be written to."""
    return once(shared_folder / "tiny-nli", make_tiny_nli)


@pytest.fixture
def nli(shared_nli, tmp_path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(shared_nli, tmp_path / "nli"))


@pytest.fixture(scope="session")
def encoder(shared_nli) -> CrossEncoder:
    return CrossEncoder.load(locate(str(shared_nli), None), None)


def said(*texts: str) -> Generations:
    return Generations(texts, np.ones(len(texts)), np.ones(len(texts), dtype=np.int64), 10)


def scored(model: Path, texts, premises=None, name="factual_consistency", **args):
    premises = premises or [CLEAR] * len(texts)
    items = make_items(premises, contexts=premises)
    return build(name, {"model": str(model), **args}).score(items, said(*texts))


def change_config(folder: Path, **values) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def change_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@BOTH
@pytest.mark.parametrize("aggregate", ["mean", "worst"])
def test_keeps_to_the_protocol(shared_nli, name, aggregate):
    check_evaluator(build(name, {"model": str(shared_nli), "aggregate": aggregate}))


def test_each_sentence_is_judged_and_their_mean_or_the_worst_counts(shared_nli):
    text = "It broke. She did not ask. She waits. Xxx xx xxxx."
    by_mean, by_worst = (scored(shared_nli, [text], aggregate=name) for name in ("mean", "worst"))
    assert by_mean.score == pytest.approx(0.5, abs=0.02)
    assert by_worst.score == pytest.approx(0.0, abs=0.01)
    assert by_mean.details["worst over sentences"] == by_worst.score
    assert by_worst.details["mean over sentences"] == by_mean.score
    assert by_mean.details["sentences"] == 4


def test_one_rests_on_the_reference_and_the_other_on_the_context(shared_nli):
    items, text = make_items(["unknown"], contexts=[CLEAR]), said("It broke.")
    args = {"model": str(shared_nli)}
    assert build("factual_consistency", args).score(items, text).score < 0.1
    assert build("groundedness", args).score(items, text).score > 0.9


def test_a_text_that_asserts_nothing_scores_zero_and_is_counted(shared_nli):
    found = scored(shared_nli, ["", " \n", "... !", "It broke."])
    assert found.per_item[:3].tolist() == [0.0, 0.0, 0.0]
    assert found.score == pytest.approx(found.per_item[3] / 4)
    assert found.details["empty texts"] == 3
    evaluator = build("factual_consistency", {"model": str(shared_nli)})
    assert evaluator.trivial_score(make_items(["a"]), said("")) == 0.0


def test_sentences_without_a_letter_are_no_sentences(shared_nli):
    assert scored(shared_nli, ["It broke.\n---\n***"]).details["sentences"] == 1


def test_an_item_without_a_premise_has_no_score(shared_nli):
    found = scored(shared_nli, ["It broke.", "It broke."], [" ", CLEAR])
    assert np.isnan(found.per_item).tolist() == [True, False]
    assert found.score == found.per_item[1]
    assert np.isnan(scored(shared_nli, ["It broke."], [" "]).score)


def test_no_score_depends_on_other_items_or_their_order(shared_nli):
    texts = ["It broke.", "She did not ask. " * 9, "xxx", "It broke.", "A. Bc def ghi jkl mnop."]
    premises = ["unknown here", CLEAR, CLEAR, CLEAR, "lamp " * 300]
    together = scored(shared_nli, texts, premises).per_item
    order = [3, 1, 4, 0, 2]
    moved = scored(shared_nli, [texts[n] for n in order], [premises[n] for n in order]).per_item
    alone = [scored(shared_nli, [text], [premise]).score for text, premise in zip(texts, premises, strict=True)]
    assert moved.tolist() == together[order].tolist()
    assert alone == together.tolist()


def test_draws_no_random_number(shared_nli):
    before = torch.get_rng_state()
    scored(shared_nli, ["It broke."])
    assert torch.equal(torch.get_rng_state(), before)


# --- long texts


def test_a_long_premise_is_split_and_its_best_part_counts(shared_nli, encoder):
    long = "unknown " * 400
    assert encoder.judge(long, "It broke.").probabilities[0] < 0.1
    found = scored(shared_nli, ["It broke. It did not.", "It broke."], [f"{long} {'lamp ' * 100} {long}", CLEAR])
    assert found.per_item[0] == pytest.approx(0.5, abs=0.05)
    assert found.details["premises in windows"] == 1


def test_a_long_sentence_is_split_between_words_and_each_part_counts(shared_nli):
    found = scored(shared_nli, [f"{'lamp ' * 60}not {'lamp ' * 60}"])
    assert found.details["sentences split"] == 1
    assert found.details["sentences"] > 2
    assert 0.3 < found.score < 0.95


def test_fewer_tokens_than_the_model_takes_make_more_windows(shared_nli):
    windows = [
        scored(shared_nli, ["It broke."], ["lamp " * 15], max_length=length).details["premises in windows"]
        for length in (32, 128)
    ]
    assert windows == [1, 0]


# --- which model


def test_labels_in_another_order_give_the_same_scores(shared_nli, nli):
    def reorder(tensors):
        for name in ("classifier.weight", "classifier.bias"):
            tensors[name] = tensors[name][[1, 2, 0]].contiguous()

    change_tensors(nli, reorder)
    change_config(nli, id2label={"0": "ENTAILMENT", "1": "Neutral", "2": "contradiction"}, label2id=None)
    texts = ["It broke. She did not ask.", "xxx. It broke."]
    first, second = scored(shared_nli, texts), scored(nli, texts)
    np.testing.assert_allclose(second.per_item, first.per_item, atol=1e-6)
    assert second.backend != first.backend


def test_two_labels_will_do(nli):
    def merge(tensors):
        for name in ("classifier.weight", "classifier.bias"):
            tensors[name] = tensors[name][:2].contiguous()

    change_tensors(nli, merge)
    change_config(nli, id2label={"0": "not_entailment", "1": "entailment"}, label2id=None)
    assert scored(nli, ["It broke."]).score > 0.9
    assert scored(nli, ["It did not."]).score < 0.1


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (("entailment", "contradiction", "neutral"), "has arrived"),
        (("neutral", "contradiction", "entailment"), "has arrived"),
    ],
)
def test_labels_that_lie_are_refused_with_the_pair_that_shows_it(nli, labels, sentence):
    change_config(nli, id2label={str(n): label for n, label in enumerate(labels)}, label2id=None)
    with pytest.raises(Refused, match=rf"{sentence}.* it says {labels[1]} .*expected entailment"):
        scored(nli, ["It broke."])


def test_a_model_that_holds_everything_entailed_is_refused(nli):
    def always(tensors):
        tensors["classifier.bias"] = torch.tensor([0.0, 99.0, 0.0])

    change_tensors(nli, always)
    with pytest.raises(Refused, match=r"has not arrived.* it says entailment \(1.00\), expected anything but"):
        scored(nli, ["It broke."])


def test_a_model_without_its_head_is_refused(nli):
    change_tensors(nli, lambda tensors: tensors.pop("classifier.weight"))
    with pytest.raises(Refused, match=r"classifier.weight"):
        scored(nli, ["It broke."])


def test_scores_are_compared_by_the_models_content_alone(shared_nli, nli):
    def described(folder):
        evaluator = build("groundedness", {"model": str(folder)})
        return describe(evaluator, scored(folder, ["It broke."]).backend)

    first = described(shared_nli)
    assert described(nli) == first
    assert first["backend"].startswith("nli BertForSequenceClassification sha256:")
    assert first["args"] == {"aggregate": "mean", "max_length": None}

    def nudge(tensors):
        tensors["classifier.bias"] += 1e-3

    change_tensors(nli, nudge)
    weights_changed = described(nli)
    change_config(nli, layer_norm_eps=1e-11)
    assert len({entry["backend"] for entry in (first, weights_changed, described(nli))}) == 3


def test_architectures_without_fused_attention_open(shared_nli, tmp_path):
    from transformers import AutoTokenizer, DebertaV2Config, DebertaV2ForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(shared_nli)
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = DebertaV2Config(vocab_size=len(tokenizer), id2label=labels, label2id=None, **sizes)
    with torch.random.fork_rng():
        DebertaV2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = CrossEncoder.load(locate(str(tmp_path), None), None)
    assert 0 < encoder.judge(CLEAR, "It broke.").probabilities[0] < 1


# --- readiness


@BOTH
def test_ready_with_a_model_and_without_torch(shared_nli, name):
    program = (
        "import sys; from seedband.evaluators import build;"
        f"build({name!r}, {{'model': {str(shared_nli)!r}}}).check_ready();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"model": "no/such/folder"}, r"args\.model: no folder no/such/folder"),
        ({"model": "package:no_such_nli/model"}, "no installed package 'no_such_nli'"),
        ({"model": "org/nli"}, "as a hub id it needs a commit"),
        ({"model": ".", "revision": COMMIT}, r"args\.revision is for hub ids"),
    ],
)
def test_a_model_that_is_not_there_is_said_with_a_hint(args, expected):
    with pytest.raises(UsageError, match=expected) as raised:
        build("factual_consistency", args).check_ready()
    if args["model"] != "no/such/folder":
        assert raised.value.hint


def test_no_model_is_no_default():
    with pytest.raises(UsageError, match="missing a required argument: 'model'"):
        build("groundedness", {})


@pytest.mark.parametrize("args", [{"aggregate": "median"}, {"max_length": 8}, {"max_length": "long"}])
def test_arguments_out_of_range_are_refused(args):
    with pytest.raises(UsageError, match=next(iter(args))):
        build("groundedness", {"model": "m", **args})


def test_an_encoder_that_classifies_nothing_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is a BertModel, expected a sequence classifier") as raised:
        build("groundedness", {"model": str(make_tiny_encoder(tmp_path / "base"))}).check_ready()
    assert "nli.md" in raised.value.hint


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        {"0": "entailment"},
        {"0": "entailment", "1": "entailment", "2": "neutral"},
        {"0": "entailment", "2": "neutral", "3": "contradiction"},
        {"0": "entailment", "1": "neutral"},
        {},
    ],
)
def test_labels_that_are_not_those_of_nli_are_refused(nli, labels):
    change_config(nli, id2label=labels, label2id=None)
    with pytest.raises(UsageError, match="expected entailment, neutral and contradiction"):
        build("groundedness", {"model": str(nli)}).check_ready()


def test_more_tokens_than_the_model_takes_are_refused_before_training(shared_nli):
    with pytest.raises(UsageError, match="takes 128 tokens, expected 256 to fit"):
        build("groundedness", {"model": str(shared_nli), "max_length": 256}).check_ready()


def test_pickled_weights_are_refused(nli):
    (nli / "model.safetensors").rename(nli / "pytorch_model.bin")
    with pytest.raises(Refused, match="pickled"):
        build("groundedness", {"model": str(nli)}).check_ready()


@pytest.mark.parametrize(("present", "expected"), [(True, [True]), (False, [True, False])])
def test_a_hub_is_asked_only_for_what_is_not_here(shared_nli, monkeypatch, present, expected):
    asked = []

    def from_hub(name, commit, *, offline):
        asked.append(offline)
        if offline and not present:
            raise WorkFailed("not here")
        return shared_nli

    monkeypatch.setattr(bases, "from_hub", from_hub)
    build("groundedness", {"model": "org/nli", "revision": COMMIT}).check_ready()
    assert asked == expected


# --- data


def write_recipe(folder: Path, model: str, **column: str) -> None:
    """A tiny decoder, rows, and a recipe that asks for groundedness."""
    make_tiny_decoder(folder / "base")
    rows = [{"prompt": f"the {word} was", "completion": " old", **column} for word in ("apple", "plum", "gold")]
    for name in ("train", "eval"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "seedband.toml").write_text(
        '[model]\nbase = "base"\ntask = "causal-lm"\nmax_length = 32\n[data]\nname = "t"\n'
        'train = "train.jsonl"\neval = "eval.jsonl"\n[train]\nmethod = "lora"\nmax_steps = 12\nlearning_rate = 1e-2\n'
        '[lora]\ntarget_modules = "all-linear"\n'
        '[[evaluate]]\nevaluator = "reference_nll"\nprimary = true\n'
        f'[[evaluate]]\nevaluator = "groundedness"\nargs = {{ model = "{model}" }}\n'
    )


def test_data_without_contexts_are_refused_before_training(shared_nli, tmp_path):
    write_recipe(tmp_path, str(shared_nli))
    with pytest.raises(UsageError) as raised:
        prepare(load_recipe(tmp_path / "seedband.toml"), offline=True)
    (problem,) = raised.value.problems
    assert "eval.jsonl: found rows without contexts" in str(problem)


def test_data_with_contexts_are_not(shared_nli, tmp_path):
    write_recipe(tmp_path, str(shared_nli), context=CLEAR)
    prepared = prepare(load_recipe(tmp_path / "seedband.toml"), offline=True)
    assert prepared.eval_items.contexts == (CLEAR,) * len(prepared.eval_items)


@pytest.mark.slow
def test_a_band_holds_which_model_judged_and_refuses_scores_of_another(nli, tmp_path):
    write_recipe(tmp_path, "nli", context=CLEAR)
    swept = run_cli("sweep", "--seeds", "2", "--out", "runs", "--band", "band.json", cwd=tmp_path)
    assert swept.code == 0, swept.err
    assert run_cli("check", "runs/seed-0", "--band", "band.json", cwd=tmp_path).code == 0
    before = json.loads((tmp_path / "band.json").read_text())
    backend = scored(nli, ["It broke."]).backend
    assert backend in json.dumps(before)
    assert str(tmp_path) not in json.dumps(before)

    def nudge(tensors):
        tensors["classifier.bias"] += 1e-3

    change_tensors(nli, nudge)
    refused = run_cli("check", "runs/seed-0", "--band", "band.json", cwd=tmp_path)
    assert refused.code == 3, refused.err
    assert "groundedness" in refused.err
    assert backend in refused.err


def test_groundedness_without_contexts_is_refused(shared_nli):
    with pytest.raises(UsageError, match="has no contexts, on which groundedness rests"):
        build("groundedness", {"model": str(shared_nli)}).score(make_items([CLEAR]), said("It broke."))
