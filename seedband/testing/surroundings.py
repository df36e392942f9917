"""The surroundings of an evaluator: folder, environment and random state, which it neither reads nor changes."""

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from seedband.evaluators import Evaluator

DRAWS = "draw from a generator of its own, or not at all"
#: What is said of an evaluator that changes what lies around it.
SURROUNDINGS = {
    "random": f"changes the global random state: {DRAWS}",
    "torch": f"changes torch's global random state: {DRAWS}",
    "environment": "changes the environment: other evaluators would read it",
    "folder": "changes the working folder: relative paths of others would lead elsewhere",
}


@contextmanager
def elsewhere(evaluator: Evaluator) -> Iterator[None]:
    """Another folder, another random state, and of the environment only what evaluators may read."""
    kept = {"PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", *getattr(evaluator, "environment", ())}
    with tempfile.TemporaryDirectory() as other, restored():
        os.chdir(other)
        for name in {*os.environ} - kept:
            del os.environ[name]
        np.random.seed(20260422)  # noqa: NPY002
        random.seed(20260422)
        yield


@contextmanager
def restored() -> Iterator[None]:
    """Whatever is done in it, folder, environment and random state are afterwards what they were."""
    folder, environment = Path.cwd(), dict(os.environ)
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_state = torch and torch.get_rng_state()
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        if torch is not None:
            torch.set_rng_state(torch_state)


def surroundings_now() -> dict[str, object]:
    """State that other code would find changed; torch's where it is imported."""
    numpy_state = [np.array(part).tolist() for part in np.random.get_state()]  # noqa: NPY002
    torch = sys.modules.get("torch")
    return {
        "random": (random.getstate(), numpy_state),
        **({"torch": torch.get_rng_state().tolist()} if torch is not None else {}),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
    }
