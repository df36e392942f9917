"""Target modules of LoRA: which tensors of a base they name."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from seedband.errors import Problem
from seedband.models.loading import ModelTask, loaded_shapes
from seedband.models.model_config import read_config
from seedband.models.model_folders import tensor_names
from seedband.recipe.scoring import Base
from seedband.recipe.sections import Recipe

#: Every linear layer but an output layer, as PEFT calls them.
ALL_LINEAR = "all-linear"


def _matches(module: str, target: str) -> bool:
    """Check whether a target names a module, by the end of its path, as PEFT does."""
    return f".{module}".endswith(f".{target}")


def targeted(name: str, shape: tuple[int, ...], recipe: Recipe) -> bool:
    """Check whether a recipe adapts a tensor of its base."""
    targets = recipe.lora.target_modules
    module = name.removesuffix(".weight")
    if len(shape) != 2 or not name.endswith(".weight"):  # noqa: PLR2004
        return False
    return isinstance(targets, str) or any(_matches(module, target) for target in targets)


def target_problems(recipe: Recipe, base: Base, task: ModelTask) -> list[Problem]:
    """Target modules that the base lacks."""
    targets = recipe.lora.target_modules
    if isinstance(targets, str):
        return _pattern_problems(targets)
    modules = _modules(tensor_names(Path(base.path)))
    unmatched = _unmatched(targets, modules)
    if unmatched or task.renamed:
        # Some models are renamed while they are loaded, and an output layer may be made of the embeddings.
        modules = _modules(loaded_shapes(base.path, task.auto))
        unmatched = _unmatched(targets if task.renamed else unmatched, modules)
    endings = sorted({module.rpartition(".")[2] for module in modules})
    return [
        Problem("lora.target_modules", f"{target!r}, which matches no module", f"of {', '.join(endings)}")
        for target in unmatched
    ]


def _modules(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Modules with a matrix."""
    return [
        name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight") and len(shape) > 1
    ]


def _unmatched(targets: Iterable[str], modules: Iterable[str]) -> list[str]:
    return [target for target in targets if not any(_matches(module, target) for module in modules)]


def _pattern_problems(target: str) -> list[Problem]:
    if target == ALL_LINEAR:
        return []
    return [Problem("lora.target_modules", repr(target), "a list of names, or ALL_LINEAR")]


def convolution_problems(recipe: Recipe, base: Base, task: ModelTask) -> list[Problem]:
    """LoRA on all linear layers of a model that has none: it consists of convolutions."""
    if not task.renamed or recipe.lora.target_modules != ALL_LINEAR:
        return []
    # One may be that of its classifier, which is replaced.
    if len(_matrices(tensor_names(Path(base.path)))) > 1 or _matrices(shapes := loaded_shapes(base.path)):
        return []
    modules = {name.split(".")[-2] for name, shape in shapes.items() if len(shape) > 2 and "." in name}  # noqa: PLR2004
    kind = read_config(Path(base.path)).get("model_type")
    found = f'"all-linear", and a model of type {kind} has no linear layers'
    return [Problem("lora.target_modules", found, f'some of {", ".join(sorted(modules))}, or method "head"')]


def _matrices(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    return [name for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 2]  # noqa: PLR2004
