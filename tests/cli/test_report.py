"""`seedband report` and `check --report html` through the real command line."""

from tiny import run_cli

from seedband import fit_band


def test_band_sweep_and_history_are_pages(tiny_swept, tmp_path):
    for arguments, title in (
        ([tiny_swept.runs], "Noise band"),
        (["--history", tiny_swept.folder], "Trend"),
    ):
        done = run_cli("report", *arguments, "-o", tmp_path / "page.html", cwd=tmp_path)
        assert done.code == 0, done.err
        assert f"the page is in {tmp_path / 'page.html'}" in done.err
        assert f"<title>{title} – seedband</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_check_writes_its_page_whatever_the_verdict(tmp_path):
    fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).save(tmp_path / "band.json")
    for score, code, title in (("0.869", 4, "Suspect"), ('"x"', 2, "Error")):
        (tmp_path / "new.json").write_text(f'{{"accuracy": [{score}]}}')
        done = run_cli("check", "--scores", "new.json", "--report", "html=out/page.html", cwd=tmp_path)
        assert done.code == code, done.err
        page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
        assert f"<title>{title} – seedband</title>" in page
        assert ("--report</span>" in page) == (code == 2)  # the next command leaves reports to the pipeline
        (tmp_path / "out" / "page.html").unlink()


def test_what_is_neither_or_both_is_refused(tmp_path):
    for arguments in ([], ["band.json", "--history", "."]):
        done = run_cli("report", *arguments, cwd=tmp_path)
        assert done.code == 2
        assert "report takes a band or a sweep, or --history FOLDER" in done.err
    assert not list(tmp_path.iterdir())


def test_a_page_replaces_neither_the_band_nor_a_run_nor_a_folder(tiny_swept, tmp_path):
    fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).save(tmp_path / "band.json")
    runs = tiny_swept.runs
    for asked, place, told in (
        ("band.json", tmp_path / "band.json", "is what this call reads"),
        (runs, runs / "sweep.json", "is no html report of seedband"),
        (runs, runs / "seed-0" / "run.json", "is no html report of seedband"),
        ("band.json", runs / "sweep.json", "is no html report of seedband"),
    ):
        before = place.read_bytes()
        done = run_cli("report", asked, "-o", place, cwd=tmp_path)
        assert (done.code, place.read_bytes()) == (2, before), done.err
        assert told in done.err
    for place in (tmp_path, "/dev/null"):
        done = run_cli("report", "band.json", "-o", place, cwd=tmp_path)
        assert done.code == 2
        assert "is no place for a file" in done.err
