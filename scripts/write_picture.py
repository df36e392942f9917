"""Write docs/assets/strip.svg, the picture of the README: three candidates against one band, drawn by the report.

python scripts/write_picture.py
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import get_args

from seedband import fit_band
from seedband.reports.html.axis import WIDE
from seedband.reports.html.canvas import Role
from seedband.reports.html.figures import plain_style
from seedband.reports.html.seed_strip import SeedStrip, Shown

PICTURE = Path(__file__).parent.parent / "docs" / "assets" / "strip.svg"
#: Accuracies of four seeds of one recipe, and of a candidate each that passes, is suspect and fails.
BASELINE, CANDIDATES = (0.871, 0.884, 0.879, 0.892), (0.888, 0.869, 0.812)
#: Colours of roles, on light and on dark pages, are those of the report.
ROLES = get_args(Role)


def drawing() -> str:
    """The strip as the report draws it, with the verdict on each candidate."""
    band = fit_band({"accuracy": list(BASELINE)})
    judged = [(score, band.judge({"accuracy": score}).status) for score in CANDIDATES]
    shown = [Shown(score, f"candidate {score}: {status}", status) for score, status in judged]
    label = f"Four seeds of one recipe as a band, and three candidates: {', '.join(status for _, status in judged)}"
    with plain_style():
        return (
            SeedStrip(band.metrics["accuracy"], shown, WIDE, len(BASELINE), small=False).draw().inline("strip", label)
        )


def style() -> str:
    """The report's colours and the classes of its drawings, without its page."""
    css = (files("seedband.reports.html") / "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    names = "|".join(ROLES)
    own = [line for line in css.splitlines() if line.startswith(".fill-")]
    rules = re.findall(rf"\.(?:fill|stroke)-(?:{names}) \{{[^}}]*\}}", " ".join(own))
    kept = [" ".join(re.findall(rf"--(?:{names}|paper): [^;]+;", part)) for part in (light, dark)]
    hollow = ".hollow { fill: none; } text { font-family: system-ui, sans-serif; }"
    return (
        f"svg {{ {kept[0]} }} @media (prefers-color-scheme: dark) {{ svg {{ {kept[1]} }} }} {' '.join(rules)} {hollow}"
    )


def picture() -> str:
    """The whole file."""
    head, _, rest = drawing().partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style()}</style>{rest}\n'


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
