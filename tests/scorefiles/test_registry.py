"""The table of readers: other packages add theirs, and the page is written from it."""

import sys
from types import SimpleNamespace

from plugins import install

from seedband.scorefiles import read_scores
from seedband.scorefiles.reading import Cell, Reading
from seedband.scorefiles.registry import readers
from seedband.storage.registry import SCORE_FILES


class Lines:
    """A reader of somebody else's: a score a line."""

    endings = (".txt",)
    files = ("scores.txt",)
    summary = "A score a line."
    seeds = "the order"

    def recognises(self, document):
        return document.ending in self.endings

    def read(self, document, _):
        cells = [Cell("acc", seed, "", float(line), f"line {seed}") for seed, line in enumerate(document.text.split())]
        return Reading("lines", cells, seeds_from="the order")


def test_every_reader_says_what_it_reads():
    assert [name for name, _ in readers()] == [*SCORE_FILES.built_in]
    for _, reader in readers():
        assert reader.summary.endswith(".")
        assert reader.seeds
        assert all(any(pattern.endswith(ending) for ending in reader.endings) for pattern in reader.files)


def test_a_reader_of_another_package_is_asked_first(tmp_path, monkeypatch):
    install(monkeypatch, SCORE_FILES, ("lines", "own_lines:Lines"))
    monkeypatch.setitem(sys.modules, "own_lines", SimpleNamespace(Lines=Lines))
    (tmp_path / "scores.txt").write_text(".8\n.9\n")
    file = read_scores(tmp_path)
    assert (file.scores, file.notes) == (
        {"acc": (0.8, 0.9)},
        (f"{tmp_path / 'scores.txt'}: read as lines, 2 seeds from the order (0, 1)",),
    )
