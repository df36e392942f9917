"""A drawing in pixels that becomes inline SVG: colours are roles, which the page's style sheet fills for its theme.

Marks that tell something when they are hovered or focused carry their words; everything else is for the eyes.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, Literal
from xml.etree import ElementTree as ET

Role = Literal[
    "ink", "muted", "line", "tint", "dot", "on-dot", "curve", "accent", "on-accent", "pass", "suspect", "fail"
]
ROLES: tuple[Role, ...] = (
    "ink", "muted", "line", "tint", "dot", "on-dot", "curve", "accent", "on-accent", "pass", "suspect", "fail",
)  # fmt: skip
#: Role → the colour that stands for it until the style sheet takes over.
COLOURS = {role: f"#0000{number:02x}" for number, role in enumerate(ROLES, 1)}
#: The same way back.
NAMES = {colour: role for role, colour in COLOURS.items()}
#: What matplotlib calls the shapes of marks.
SHAPES = {"dot": "o", "diamond": "D", "cross": "X", "triangle": "^", "left": "<", "right": ">"}
#: Of what matplotlib writes, what is kept as attributes; the rest is the style sheet's business.
KEPT = ("stroke-width", "stroke-dasharray", "stroke-linecap", "text-anchor", "font-size", "font-weight", "opacity")
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
MARK = re.compile(r"mark_\d+")


class Canvas:
    """A drawing of a fixed size, in pixels, whose y axis points down.

    Args:
        width: In pixels.
        height: In pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self._told: dict[str, str] = {}
        self._figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(self._figure)
        self._axes: Any = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        role: Role = "ink",
        *,
        size: float = 13,
        anchor: Literal["left", "center", "right"] = "left",
        bold: bool = False,
    ) -> None:
        """A line of text, centred on `y`. It must not come from a user: nothing sets its direction apart."""
        weight = "bold" if bold else "normal"
        self._axes.text(
            x, y, text, color=COLOURS[role], size=size, ha=anchor, va="center_baseline", weight=weight, parse_math=False
        )

    def line(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        role: Role,
        *,
        width: float = 1,
        dashed: bool = False,
        told: str = "",
    ) -> None:
        """A line through points."""
        dashes = {"dashes": (4, 4)} if dashed else {}
        style = {"color": COLOURS[role], "linewidth": width, "solid_capstyle": "round", **dashes}
        self._axes.plot(xs, ys, gid=self._mark(told), clip_on=False, **style)

    def box(self, left: float, top: float, right: float, bottom: float, role: Role, *, told: str = "") -> None:
        """A filled box with round corners."""
        from matplotlib.patches import FancyBboxPatch

        radius = max(0.0, min(4.0, (right - left) / 2, (bottom - top) / 2))
        box = FancyBboxPatch(
            (left + radius, top + radius),
            right - left - 2 * radius,
            bottom - top - 2 * radius,
            boxstyle=f"round,pad={radius},rounding_size={radius}",
            facecolor=COLOURS[role],
            edgecolor="none",
            gid=self._mark(told),
            clip_on=False,
        )
        self._axes.add_patch(box)

    def mark(
        self,
        x: float,
        y: float,
        shape: str,
        role: Role,
        *,
        size: float,
        ring: bool = False,
        told: str = "",
    ) -> None:
        """A mark of `size` pixels across, with a ring around it where it stands out."""
        if ring:
            rim = {"markerfacecolor": "none", "markeredgecolor": COLOURS["ink"], "markeredgewidth": 1.5}
            self._axes.plot([x], [y], "o", linestyle="none", markersize=size + 6, clip_on=False, **rim)
        fill = {"markerfacecolor": COLOURS[role], "markeredgecolor": "none"}
        gid = self._mark(told)
        self._axes.plot([x], [y], SHAPES[shape], linestyle="none", markersize=size, clip_on=False, gid=gid, **fill)

    def _mark(self, told: str) -> str | None:
        if not told:
            return None
        gid = f"mark_{len(self._told)}"
        self._told[gid] = told
        return gid

    def inline(self, name: str, label: str, kind: str = "") -> str:
        """The drawing as an SVG element for a page.

        Args:
            name: What its ids start with; no two drawings of a page share it.
            label: What it shows, for those who do not see it.
            kind: Its class.
        """
        out = io.StringIO()
        self._figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        root = ET.fromstring(out.getvalue())  # noqa: S314  what matplotlib wrote a line above
        for unwanted in (SVG + "metadata", SVG + "defs"):
            for child in root.findall(unwanted):
                root.remove(child)
        figure = root[0]
        figure.remove(figure[0])  # the background
        for element in root.iter():
            self._adapt(element, name)
        root.attrib.clear()
        root.attrib.update(
            {
                "class": f"drawing {kind}".strip(),
                "viewBox": f"0 0 {self.width:g} {self.height:g}",
                "role": "group",
                "aria-label": label,
            }
        )
        return re.sub(r"\s*\n\s*", " ", ET.tostring(root, encoding="unicode"))

    def _adapt(self, element: ET.Element, name: str) -> None:
        """One element as a page takes it: no namespaces, no style attributes, ids of its own."""
        element.tag = element.tag.removeprefix(SVG)
        element.text, element.tail = (element.text or "").strip() or None, None
        style = dict(part.split(": ", 1) for part in element.attrib.pop("style", "").split("; ") if part)
        gid = element.attrib.pop("id", "")
        element.attrib.pop("clip-path", None)
        if element.attrib.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        if (target := element.attrib.pop(f"{XLINK}href", "")) != "":
            element.set("href", f"#{name}-{target.removeprefix('#')}")
        if element.tag == "path" and gid:  # the shape of a mark, which `use` refers to and colours
            element.set("id", f"{name}-{gid}")
            return
        classes = [f"{part}-{NAMES[style[part]]}" for part in ("fill", "stroke") if style.get(part) in NAMES]
        if element.tag in ("path", "use") and style.get("fill") not in NAMES:
            classes.append("hollow")
        if classes:
            element.set("class", " ".join(classes))
        for key in KEPT:
            if key in style:
                element.set(key, style[key].removesuffix("px"))
        if MARK.fullmatch(gid):
            _tell(element, self._told[gid])


def _tell(element: ET.Element, told: str) -> None:
    """Make a mark tell its words to whoever hovers it, focuses it or listens."""
    element.attrib.update({"class": "mark", "tabindex": "0", "role": "img"})
    title = ET.Element("title")
    title.text = told
    element.insert(0, title)
