"""init: from data and a model to a recipe that `sweep` accepts, and nothing overwritten on the way."""

import csv
import io
import json
import shutil
import tomllib

import pytest
from digits import write_digits
from tiny import ROOT, run_cli, write_prompts, write_rows

from seedband import Refused, UsageError, WorkFailed
from seedband.cli.console import ask
from seedband.commands.init.init import init
from seedband.commands.init.questions import Answers, Question
from seedband.commands.sweep.prepare import columns_of, prepare
from seedband.data.dataset import load_items, normalised
from seedband.recipe.parse import load_recipe


def write_csv(path, count=200, seed=1, **renamed):
    write_rows(path.with_suffix(".jsonl"), count, seed)
    rows = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    path.with_suffix(".jsonl").unlink()
    names = ("text", "label", "channel")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([renamed.get(name, name) for name in names])
        writer.writerows([row[name] for name in names] for row in rows)


def yes(question):
    return question.default


def refuse(question):
    raise AssertionError(question)


@pytest.fixture
def folder(tmp_path):
    """A folder with only a CSV in it."""
    (tmp_path / "here").mkdir()
    write_csv(tmp_path / "here" / "tickets.csv")
    return tmp_path / "here"


@pytest.fixture
def encoder(tiny_recipe):
    return str(tiny_recipe.folder / "base")


def test_a_csv_alone_becomes_a_recipe_and_two_files(folder, encoder):
    begun = init(folder, Answers(model=encoder), yes, offline=True)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["seedband.toml", "tickets-eval.csv", "tickets-train.csv", "tickets.csv"]
    loaded = load_recipe(begun.config)
    assert loaded.recipe == begun.recipe
    prepared = prepare(loaded, offline=True)
    assert (len(prepared.train_items), len(prepared.eval_items)) == (119, 81)
    assert not prepared.repeats.shared
    recipe = begun.recipe
    assert (recipe.data.name, recipe.data.slices, recipe.primary) == ("tickets", ("channel",), "accuracy")
    assert (recipe.train.method, recipe.train.epochs, recipe.model.max_length) == ("lora", 20, 32)
    told = "\n".join(begun.notes)
    assert "split: tickets-train.csv (119 rows) and tickets-eval.csv (81 rows), by content" in told
    assert "an embedding model (mean pooling)" in told
    assert "labels: 3, " in told
    assert any(text.startswith("81 eval rows: with 200 or more") for text in begun.warnings)


def test_the_split_holds_every_row_once_and_is_the_same_anew(folder, encoder):
    init(folder, Answers(model=encoder), yes, offline=True)
    parts = {path: path.read_bytes() for path in folder.glob("tickets-*.csv")}
    lines = [line for content in parts.values() for line in content.decode().splitlines()[1:]]
    assert sorted(lines) == sorted((folder / "tickets.csv").read_text().splitlines()[1:])
    texts = [{normalised(row["text"]) for row in csv.DictReader(path.read_text().splitlines())} for path in parts]
    assert not texts[0] & texts[1]
    for path in [*parts, folder / "seedband.toml"]:
        path.unlink()
    init(folder, Answers(model=encoder), yes, offline=True)
    assert all(path.read_bytes() == content for path, content in parts.items())


def test_nothing_that_is_there_is_overwritten(folder, encoder):
    (folder / "tickets-eval.csv").write_text("text,label\nmine,fruit\n")
    answers = Answers(data=str(folder / "tickets.csv"), eval="", model=encoder)
    with pytest.raises(UsageError, match=r"tickets-eval.csv exists and is not this part of"):
        init(folder, answers, yes, offline=True)
    assert sorted(path.name for path in folder.iterdir()) == ["tickets-eval.csv", "tickets.csv"]
    (folder / "seedband.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"seedband\.toml exists") as info:
        init(folder, answers, refuse, offline=True)
    assert info.value.hint == "--force replaces it"
    assert (folder / "seedband.toml").read_text() == "mine"
    (folder / "tickets-eval.csv").unlink()
    init(folder, answers, yes, offline=True, force=True)
    assert load_recipe(folder / "seedband.toml").recipe.data.eval == "tickets-eval.csv"
    (folder / ".gitlab-ci.yml").write_text("mine")
    with pytest.raises(UsageError, match=r"gitlab-ci\.yml exists"):
        init(folder, Answers(workflows=["gitlab"]), refuse, force=True)


def test_what_sweep_would_refuse_leaves_nothing_behind(folder, encoder, tmp_path):
    base = shutil.copytree(encoder, tmp_path / "broken")
    (base / "tokenizer.json").unlink()
    (base / "vocab.txt").unlink()
    with pytest.raises(UsageError) as info:
        init(folder, Answers(model=str(base)), yes, offline=True)
    assert "has no tokenizer" in str(info.value)
    assert [path.name for path in folder.iterdir()] == ["tickets.csv"]
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(Refused, match="pickled"):
        init(folder, Answers(model=str(base)), yes, offline=True)


def test_a_workflow_that_cannot_be_written_leaves_nothing_behind(folder, encoder):
    (folder / ".github").touch()
    answers = Answers(model=encoder, workflows=["gitlab", "github"])
    with pytest.raises(WorkFailed, match=r"write .*seedband\.yml"):
        init(folder, answers, yes, offline=True)
    assert sorted(path.name for path in folder.iterdir()) == [".github", "tickets.csv"]
    (folder / ".github").unlink()
    begun = init(folder, answers, yes, offline=True)
    assert begun.files[-2:] == (folder / ".github" / "workflows" / "seedband.yml", folder / "seedband.toml")


def test_a_config_that_cannot_be_written_leaves_no_workflow_behind(folder, encoder):
    (folder / "seedband.toml").mkdir()
    with pytest.raises(WorkFailed, match=r"write .*seedband\.toml"):
        init(folder, Answers(model=encoder, workflows=["github"]), yes, offline=True, force=True)
    assert sorted(path.name for path in folder.iterdir()) == ["seedband.toml", "tickets.csv"]


def test_five_questions_at_most_and_none_where_flags_answer(folder, encoder):
    asked = []

    def answer(question):
        asked.append(question.flag)
        return {"--model": encoder}.get(question.flag, question.default)

    init(folder, Answers(), answer, offline=True)
    assert asked == ["--data", "--eval", "--text --label", "--model", "--metric"]
    columns = {"text": "text", "label": "label"}
    said = Answers(data=str(folder / "tickets.csv"), eval="", model=encoder, metric="f1_macro", columns=columns)
    init(folder, said, refuse, offline=True, force=True)
    assert load_recipe(folder / "seedband.toml").recipe.primary == "f1_macro"


def test_a_person_presses_enter_for_what_is_found_or_types_another(monkeypatch, capsys):
    typed = io.StringIO("\n f1_macro \n")
    typed.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", typed)
    question = Question("--metric", "Metric that gates", "accuracy")
    assert (ask(question), ask(question), ask(question)) == ("accuracy", "f1_macro", "accuracy")
    told = capsys.readouterr()
    assert told.err.startswith("Metric that gates [accuracy]: ")
    assert not told.out


def test_columns_of_other_names_are_found_or_named(tmp_path, encoder):
    write_csv(tmp_path / "a.csv", text="utterance", label="kind")
    begun = init(tmp_path, Answers(model=encoder, columns={"label": "kind"}), yes, offline=True)
    assert (begun.recipe.data.text, begun.recipe.data.label) == ("utterance", "kind")
    with pytest.raises(UsageError, match="--label sort: no such column") as info:
        init(tmp_path, Answers(data=str(tmp_path / "a.csv"), columns={"label": "sort"}), yes, force=True)
    assert info.value.hint == "there are utterance, kind, channel"
    with pytest.raises(UsageError, match="--label: nothing was said, and nothing can be guessed"):  # kind, or channel?
        init(tmp_path, Answers(data=str(tmp_path / "a.csv"), columns={"text": "utterance"}), yes, force=True)


def test_two_files_are_taken_as_they_are_and_repeated_ids_are_no_names(tmp_path, encoder):
    write_rows(tmp_path / "train.jsonl", 120, seed=1)
    write_rows(tmp_path / "test.jsonl", 90, seed=2)
    text = (tmp_path / "train.jsonl").read_text().replace('"id": "train-1"', '"id": "train-0"')
    nameless = (tmp_path / "test.jsonl").read_text().replace('"id": "test-', '"id": null, "was": "test-')
    (tmp_path / "test.jsonl").write_text(nameless)
    (tmp_path / "train.jsonl").write_text(text)
    begun = init(tmp_path, Answers(model=encoder, name="mine"), yes, offline=True)
    assert (begun.recipe.data.train, begun.recipe.data.eval) == ("train.jsonl", "test.jsonl")
    assert (begun.recipe.data.name, begun.recipe.data.id) == ("mine", "row")
    assert begun.files == (tmp_path / "seedband.toml",)
    assert f"eval: {tmp_path / 'test.jsonl'}, 90 rows" in begun.notes


def test_rows_called_test_are_data_where_there_are_no_others(tmp_path, encoder):
    write_csv(tmp_path / "test.csv")
    begun = init(tmp_path, Answers(model=encoder), yes, offline=True)
    assert (begun.recipe.data.train, begun.recipe.data.eval) == ("test-train.csv", "test-eval.csv")


def test_a_hub_that_cannot_be_reached_is_no_mistake_of_the_user(folder, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    with pytest.raises(WorkFailed, match="the hub does not say its commit: no route to host"):
        init(folder, Answers(model="org/name"), yes)


def test_prompts_and_a_decoder_become_a_language_models_recipe(tmp_path, tiny_generation, encoder):
    write_prompts(tmp_path / "data.jsonl", 60, seed=1)
    begun = init(tmp_path, Answers(model=str(tiny_generation.folder / "base")), yes, offline=True)
    recipe = begun.recipe
    assert (recipe.model.task, recipe.primary) == ("causal-lm", "reference_nll")
    items = load_items(tmp_path / "data.jsonl", columns_of(recipe))
    assert recipe.generation.max_new_tokens == 8
    assert recipe.model.max_length == 32
    assert len(items) == 60
    with pytest.raises(UsageError, match="no language model, and causal-lm needs one"):
        init(tmp_path, Answers(data=str(tmp_path / "data.jsonl"), model=encoder), yes, offline=True, force=True)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_second_text_of_a_pair_is_found(tmp_path, encoder):
    rows = [{"premise": f"it rains {n}", "hypothesis": f"it is wet {n}", "label": n % 2} for n in range(60)]
    write_jsonl(tmp_path / "pairs.jsonl", rows)
    data = init(tmp_path, Answers(model=encoder), yes, offline=True).recipe.data
    assert (data.text, data.text_pair, data.slices) == ("premise", "hypothesis", ())


def test_an_input_of_alpaca_is_part_of_the_prompt_and_no_slice(tmp_path, tiny_generation):
    rows = [{"instruction": f"say {n}", "input": "gold " * (n % 2), "output": f"{n}"} for n in range(60)]
    (tmp_path / "alpaca.json").write_text(json.dumps(rows))
    model = str(tiny_generation.folder / "base")
    begun = init(tmp_path, Answers(model=model), yes, offline=True)
    data = begun.recipe.data
    assert (data.prompt, data.input, data.completion, data.slices) == ("instruction", "input", "output", ())
    assert "say 1\ngold " in prepare(load_recipe(begun.config), offline=True).train_items.inputs
    (tmp_path / "seedband.toml").unlink()
    again = init(tmp_path, Answers(model=model, data=str(tmp_path / "alpaca.json")), yes, offline=True)
    assert again.recipe.data == data


def test_rows_without_answers_are_left_aside_and_named(tmp_path, encoder):
    write_csv(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("text\nthe iron\nthe nile\n")
    begun = init(tmp_path, Answers(model=encoder), yes, offline=True)
    assert (begun.recipe.data.train, begun.recipe.data.eval) == ("train-train.csv", "train-eval.csv")
    left = f"left aside: {tmp_path / 'test.csv'}, which has nothing in 'label': eval rows come from the data"
    assert left in begun.notes
    shutil.copy(tmp_path / "test.csv", tmp_path / "named.csv")
    (tmp_path / "seedband.toml").unlink()
    answers = Answers(model=encoder, data=str(tmp_path / "train.csv"), eval=str(tmp_path / "named.csv"))
    with pytest.raises(UsageError, match="mistake"):
        init(tmp_path, answers, yes, offline=True)


@pytest.mark.parametrize("first", ["the iron is old and heavy,metal", "iron,metal"])
def test_a_csv_without_names_of_columns_is_told(tmp_path, encoder, first):
    body = "".join(f"the nile {n},river\nthe gold {n},metal\n" for n in range(30))
    (tmp_path / "rows.csv").write_text(f"{first}\n{body}")
    with pytest.raises(UsageError, match="row 1 looks like data, not like names of columns"):
        init(tmp_path, Answers(model=encoder), yes, offline=True)


def test_a_label_that_is_a_number_is_no_name_of_a_column_beside_a_text(tmp_path, encoder):
    body = "".join(f"{n % 2},the nile {n}\n" for n in range(60))
    (tmp_path / "rows.csv").write_text(f"1,old iron\n{body}")
    with pytest.raises(UsageError, match="row 1 looks like data, not like names of columns: '1'"):
        init(tmp_path, Answers(model=encoder), yes, offline=True)


def test_numbers_may_be_names_of_columns(tmp_path, encoder):
    (tmp_path / "rows.csv").write_text("0,1\n" + "".join(f"the nile {n},{n % 2}\n" for n in range(60)))
    answers = Answers(model=encoder, columns={"text": "0", "label": "1"})
    assert init(tmp_path, answers, yes, offline=True).recipe.data.label == "1"


def test_a_folder_of_images_becomes_two_lists(tmp_path, tmp_path_factory):
    from tiny_vit import make_tiny_vit

    base = make_tiny_vit(tmp_path_factory.mktemp("vit") / "base")
    write_digits(tmp_path / "pictures", 0, 40)
    begun = init(tmp_path, Answers(model=str(base), method="head"), yes, offline=True)
    recipe = begun.recipe
    assert (recipe.model.task, recipe.train.method) == ("image-classification", "head")
    assert (recipe.data.train, recipe.data.eval) == ("pictures-train.jsonl", "pictures-eval.jsonl")
    assert json.loads((tmp_path / "pictures-eval.jsonl").read_text().splitlines()[0])["image"].startswith("pictures/")


def test_an_unbalanced_label_is_gated_by_f1(tmp_path, encoder):
    rows = [{"text": f"words {n}", "label": "no" if n % 10 else "yes"} for n in range(200)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    begun = init(tmp_path, Answers(model=encoder), yes, offline=True)
    assert begun.recipe.primary == "f1_macro"
    assert "metric: f1_macro, for 90% of the rows are 'no'" in begun.notes


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"task": "translation"}, "--task translation: no such task"),
        ({"method": "magic"}, "--method magic: cannot train text-classification"),
        ({"metric": "glory"}, "unknown evaluator 'glory'"),
        ({"model": "org/name"}, "needs a commit"),
        ({"model": "nowhere"}, "--model: no folder"),
        ({"data": "nowhere.csv"}, "nowhere.csv: no such file"),
    ],
)
def test_answers_that_cannot_be_are_told(folder, encoder, answers, told):
    with pytest.raises(UsageError) as info:
        init(folder, Answers(**{"model": encoder, **answers}), yes, offline=True)
    assert told in str(info.value)
    assert not (folder / "seedband.toml").exists()


COMMAND = "python train.py --name 'my run' --seed {seed} --out {out}"


def test_a_command_becomes_a_recipe_that_sweep_accepts(folder, encoder):
    with pytest.raises(UsageError) as info:
        init(folder, Answers(model=encoder, command=COMMAND), yes, offline=True)
    assert "train.command: found train.py, which is no file in" in str(info.value)
    (folder / "train.py").touch()
    begun = init(folder, Answers(model=encoder, method="command", command=COMMAND), yes, offline=True)
    text = begun.config.read_text()
    assert tomllib.loads(text)["train"] == {"method": "command", "command": COMMAND}
    assert not {"lora", "head", "init"} & tomllib.loads(text).keys()
    assert "# Method `command`: what trains a seed" in text
    assert begun.recipe.primary == "accuracy"
    assert prepare(load_recipe(begun.config), offline=True).command_files.keys() == {"train.py"}


def test_a_command_for_prompts_says_how_answers_are_made(tmp_path, tiny_generation):
    write_prompts(tmp_path / "data.jsonl", 60, seed=1)
    (tmp_path / "train.py").touch()
    model = str(tiny_generation.folder / "base")
    recipe = init(tmp_path, Answers(model=model, command=COMMAND), yes, offline=True).recipe
    assert (recipe.train.method, recipe.generation.max_new_tokens) == ("command", 8)


@pytest.mark.parametrize(
    ("answers", "told", "hint"),
    [
        ({"method": "command"}, "--command: method command needs to know", '--command "python train.py --seed {seed}'),
        ({"method": "head", "command": COMMAND}, "--command: method head runs none", "leave one of the two"),
    ],
)
def test_a_command_belongs_to_its_method(folder, answers, told, hint):
    with pytest.raises(UsageError) as info:
        init(folder, Answers(**answers), refuse, offline=True)
    assert told in info.value.message
    assert hint in info.value.hint


def test_a_folder_without_data_is_told(tmp_path):
    with pytest.raises(UsageError) as info:
        init(tmp_path, Answers(), yes)
    assert (info.value.message, info.value.hint) == (f"no data file in {tmp_path}", "give --data")


def test_the_help_puts_one_pair_of_brackets_around_the_folder():
    done = run_cli("init", "--help")
    assert "init [OPTIONS] [DIR]\n" in done.out
    assert "--command" in done.out


def test_two_candidates_for_the_data_are_none(folder, encoder):
    write_csv(folder / "other.csv")
    with pytest.raises(
        UsageError, match=r"--data: nothing was said, and nothing can be guessed; there are .*other.csv"
    ):
        init(folder, Answers(model=encoder), yes)


def test_without_a_terminal_the_flags_are_named(folder):
    done = run_cli("init", cwd=folder)
    assert done.code == 2
    assert "--data is not said, and there is no terminal to ask in" in done.err
    assert all(flag in done.err for flag in ("--yes", "--eval", "--label", "--model", "--metric"))


def test_the_command_says_what_it_found_and_what_is_next(folder, encoder):
    done = run_cli("init", "--yes", "--model", encoder, "--github", "--gitlab", cwd=folder)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "data: tickets.csv, 200 rows; columns text, label, channel"
    assert done.out.splitlines()[-1] == (
        "wrote: tickets-train.csv, tickets-eval.csv, .github/workflows/seedband.yml, .gitlab-ci.yml, seedband.toml"
    )
    assert "hint: look at seedband.toml, then: seedband sweep --seeds 4" in done.err
    assert tomllib.loads((folder / "seedband.toml").read_text())["data"]["train"] == "tickets-train.csv"
    assert (folder / ".github" / "workflows" / "seedband.yml").is_file()


@pytest.mark.slow
def test_a_csv_alone_is_swept_after_init(folder, encoder):
    init(folder, Answers(model=encoder, method="head"), yes, offline=True)
    done = run_cli("sweep", "--seeds", "2", "-q", cwd=folder)
    assert done.code == 0, done.err
    assert (folder / "band.json").is_file()


@pytest.mark.slow
@pytest.mark.minilm
def test_a_csv_alone_is_swept_after_init_with_the_default_model(tmp_path):
    rows = [json.loads(line) for line in (ROOT / "fixtures" / "support" / "train.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["label"] in {"refund_request", "delivery_late", "exchange_item", "wrong_item"}]
    with (tmp_path / "tickets.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([row["text"], row["label"]] for row in rows)
    done = run_cli("init", "--yes", cwd=tmp_path)
    assert done.code == 0, done.err
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "band accuracy: [" in done.out
