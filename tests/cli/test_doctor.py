"""`seedband doctor` through the real command line."""

import json

from tiny import recipe_text, run_cli

from seedband.determinism.pins import PORTABLE


def test_says_what_is_pinned_and_what_cannot_be(tmp_path):
    done = run_cli("doctor", cwd=tmp_path, env={"OMP_NUM_THREADS": "7"})
    assert done.code == 0, done.err
    assert "shell: OMP_NUM_THREADS=7 gives way to 1 in every job" in done.out
    assert "numerics fingerprint: " in done.out
    assert "instruction set" in done.out


def test_fingerprint_tells_another_thread_count(tmp_path):
    (tmp_path / "two.toml").write_text(recipe_text(determinism_threads="2"))
    one, two = (
        json.loads(run_cli("doctor", "--json", *more, cwd=tmp_path).out) for more in ([], ["--config", "two.toml"])
    )
    states = {finding["what"]: finding["state"] for finding in one["findings"]}
    assert states["CPU threads"] == states["deterministic algorithms"] == "pinned"
    assert one["fingerprint"] != two["fingerprint"]


def test_portable_pins_the_instructions_that_runners_share(tmp_path):
    (tmp_path / "portable.toml").write_text(recipe_text(determinism_portable="true"))
    told = json.loads(run_cli("doctor", "--json", "--config", "portable.toml", cwd=tmp_path).out)
    found = next(finding for finding in told["findings"] if finding["what"] == "instruction set")
    assert found["state"] in ("pinned", "open")
    assert found["state"] == "open" or all(value in found["advice"] for value in PORTABLE.values())
