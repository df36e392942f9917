"""`seedband init`."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where seedband.toml goes.")] = Path(),
    data: Annotated[
        str | None, typer.Option(help="The data file, or the training rows. [default: the one in DIR]")
    ] = None,
    eval_data: Annotated[str | None, typer.Option("--eval", help="The eval rows. [default: part of the data]")] = None,
    model: Annotated[str | None, typer.Option(help="A folder, package:PACKAGE/FOLDER, or org/name@commit.")] = None,
    task: Annotated[
        str | None, typer.Option(help="text-classification, image-classification or causal-lm. [default: as it looks]")
    ] = None,
    method: Annotated[str | None, typer.Option(help="lora, head or command. [default: lora]")] = None,
    command: Annotated[
        str | None, typer.Option(help='What trains a seed: "python train.py --seed {seed} --out {out}".')
    ] = None,
    metric: Annotated[str | None, typer.Option(help="The metric that gates. [default: the task's usual one]")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set. [default: its file's]")] = None,
    text: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the text.")] = None,
    text_pair: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a second text.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the label.")] = None,
    image: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the image's path.")] = None,
    prompt: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the prompt.")] = None,
    prompt_input: Annotated[
        str | None, typer.Option("--input", metavar="COLUMN", help="Column of text that goes below the prompt.")
    ] = None,
    completion: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of its completion.")] = None,
    messages: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of chats.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is found, and defaults.")] = False,
    github: Annotated[bool, typer.Option("--github", help="Write .github/workflows/seedband.yml, too.")] = False,
    gitlab: Annotated[bool, typer.Option("--gitlab", help="Write .gitlab-ci.yml, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a seedband.toml that is there.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Write a commented seedband.toml from a look at your data and model."""
    from seedband.cli import console
    from seedband.commands.init.init import init as run_init
    from seedband.commands.init.questions import Answers

    roles = {
        "text": text, "text_pair": text_pair, "label": label, "image": image, "prompt": prompt, "input": prompt_input,
        "completion": completion, "messages": messages,
    }  # fmt: skip
    answers = Answers(
        data=data,
        eval=eval_data,
        model=model,
        task=task,
        method=method,
        command=command,
        metric=metric,
        name=name,
        columns={role: column for role, column in roles.items() if column is not None},
        workflows=[*(["github"] if github else []), *(["gitlab"] if gitlab else [])],  # type: ignore[list-item]
    )
    ask = console.default if yes else console.ask
    console.print_begun(run_init(folder, answers, ask, force=force, offline=offline), as_json=as_json)
    return 0
