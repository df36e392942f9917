"""The script of false alarms judges by the rules themselves, and tells what is not kept."""

import json
import sys

import pytest
from tiny import ROOT

from seedband.bands.stats.decision import Decision


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    sys.modules.pop("false_alarms", None)
    import false_alarms

    return false_alarms


def test_rates_are_attained_and_levels_stand_side_by_side(script, monkeypatch, capsys, tmp_path):
    before = tmp_path / "before.json"
    table = {str(n): {"level": [0.01, n / 1000]} for n in range(2, 65)}
    before.write_text(json.dumps({"alphas": [0.01, 0.05], "n": table}))
    monkeypatch.setattr(sys, "argv", ["false_alarms.py", "--draws", "400", "--before", str(before)])
    monkeypatch.setattr(script, "N_SEEDS", (4,))
    assert script.main() == 0
    lines = capsys.readouterr().out.splitlines()
    rates = [line.split(" | ") for line in lines if line.startswith("| `")]
    assert [(row[0], row[2]) for row in rates] == [
        ("| `retest`, carried through", "3"),
        *(("| `retest`, given together", k) for k in ("2", "3", "5")),
        *(("| `t`", k) for k in ("1", "2", "3", "5")),
    ]
    assert {row[-1] for row in rates} == {"yes |"}
    assert [row[5] for row in rates[:4]] == ["0.0500"] * 4
    assert 0 < float(rates[0][3]) < 0.12
    assert any(line.startswith("| L before | 0.002 | 0.003 | 0.004 |") for line in lines)
    assert any(line.startswith("| L_up, k = 5 | ") for line in lines)


def test_a_rate_that_is_exceeded_is_an_exit_code(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "BLOCKS", (lambda draws, alpha: [always_stopped(script, draws, alpha)],))
    monkeypatch.setattr(sys, "argv", ["false_alarms.py", "--draws", "100"])
    assert script.main() == 1
    assert "| all | 4 | 1 | 1.0000 | 0.0000 | at most 0.0500 | **no** |" in capsys.readouterr().out


def always_stopped(script, draws, alpha):
    def judge(*_):
        return Decision("fail", "", alpha, rate_is_bound=True)

    return script.attained("all", 4, 1, judge, draws, alpha)
