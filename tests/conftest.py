"""A tiny recipe on a tiny encoder, swept once for the whole session; tests copy what they change."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tiny import Tiny, make_generation_recipe, make_recipe, once, recipe_text, run_cli


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for all workers of the test run."""
    root = tmp_path_factory.getbasetemp()
    return root if worker_id == "master" else root.parent


@pytest.fixture(scope="session", autouse=True)
def _cache(shared_folder: Path) -> Iterator[None]:
    """No test reads what a user's own work left in the cache, and none adds to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDBAND_CACHE_DIR", str(shared_folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _activated() -> Iterator[None]:
    """Scripts are run by the `python` of the environment under test, whichever comes first on the PATH of who tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield


# A busy machine is no failure: examples are bounded in number, not in time. `make test` tries the same examples
# every time, so that a change alone turns it red; `make test-full` tries new ones.
settings.register_profile("seedband", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("seedband")


@pytest.fixture(scope="session")
def tiny_recipe(shared_folder: Path) -> Tiny:
    """The tiny recipe, not swept; not to be written to."""
    return Tiny(once(shared_folder / "tiny-recipe", make_recipe))


@pytest.fixture(scope="session")
def tiny_generation(shared_folder: Path) -> Tiny:
    """The tiny recipe of a language model, not swept; not to be written to."""
    return Tiny(once(shared_folder / "tiny-generation", make_generation_recipe))


@pytest.fixture(scope="session")
def tiny_swept(shared_folder: Path, tiny_recipe: Tiny) -> Tiny:
    """The tiny recipe with a LoRA sweep of 4 seeds and its band; not to be written to."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_recipe.folder, folder, dirs_exist_ok=True)
        done = run_cli("sweep", "--seeds", "4", "--jobs", "2", "--out", "runs", "-q", cwd=folder)
        assert done.code == 0, done.err

    return Tiny(once(shared_folder / "tiny-swept", make))


@pytest.fixture(scope="session")
def tiny_heads(shared_folder: Path, tiny_recipe: Tiny) -> Tiny:
    """The tiny recipe with a sweep of 3 heads on mean pooling; not to be written to."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_recipe.folder, folder, dirs_exist_ok=True)
        text = recipe_text(train_method='"head"', train_epochs="10")
        (folder / "seedband.toml").write_text(text, encoding="utf-8")
        done = run_cli("sweep", "--seeds", "3", "--out", "runs", "-q", cwd=folder)
        assert done.code == 0, done.err

    return Tiny(once(shared_folder / "tiny-heads", make))


@pytest.fixture
def tiny(tiny_recipe: Tiny, tmp_path: Path) -> Tiny:
    """A copy of the tiny recipe, to be changed."""
    return Tiny(Path(shutil.copytree(tiny_recipe.folder, tmp_path / "tiny")))


@pytest.fixture
def swept(tiny_swept: Tiny, tmp_path: Path) -> Tiny:
    """A copy of the swept tiny recipe, to be changed."""
    return Tiny(Path(shutil.copytree(tiny_swept.folder, tmp_path / "tiny")))
