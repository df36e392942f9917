"""A page from its template; it runs its own style and script, and nothing else."""

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from seedband.counts import counted
from seedband.reports.html.values import MAX_VALUE, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def filled(template: str, **values: Any) -> str:
    """A page from its template, with a policy that allows its own style and script, and nothing else."""
    from markupsafe import Markup

    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    page = _environment().get_template(template)
    # Ours, both of them: not a letter in them comes from a user.
    own = {"style": Markup(style), "script": Markup(script), "policy": policy, "max_value": MAX_VALUE}  # noqa: S704
    return page.render(**own, **values)


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=PackageLoader("seedband.reports.html", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["counted"] = counted
    environment.filters["drawn"] = Markup  # for what a Canvas wrote
    return environment


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
