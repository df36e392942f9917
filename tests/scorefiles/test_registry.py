"""The table of readers: other packages add theirs, and the page is written from it."""

from importlib.metadata import EntryPoint

from seedband.scorefiles import read_scores, registry
from seedband.scorefiles.reading import Cell, Reading
from seedband.scorefiles.registry import READERS, load, readers


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
    assert [name for name, _ in readers()] == [*READERS]
    for name in READERS:
        reader = load(READERS[name])
        assert reader.summary.endswith(".")
        assert reader.seeds
        assert all(any(pattern.endswith(ending) for ending in reader.endings) for pattern in reader.files)


def test_a_reader_of_another_package_is_asked_first(tmp_path, monkeypatch):
    point = EntryPoint("lines", f"{__name__}:Lines", registry.ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Lines)
    monkeypatch.setattr(registry, "entry_points", lambda **_: [point])
    (tmp_path / "scores.txt").write_text(".8\n.9\n")
    file = read_scores(tmp_path)
    assert (file.scores, file.notes) == (
        {"acc": (0.8, 0.9)},
        (f"{tmp_path / 'scores.txt'}: read as lines, 2 seeds from the order (0, 1)",),
    )
