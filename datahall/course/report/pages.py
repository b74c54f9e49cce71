"""An executed notebook as a page: the body by nbconvert, the style ours; no script, no network."""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from datahall.course.report import rendering
from datahall.course.run import keeping

_MAY_RUN = re.compile(r"<(script|iframe|object|embed)\b|\son\w+\s*=|javascript:", re.IGNORECASE)


def write(notebook: Path, target: Path) -> None:
    """Write an executed notebook as a page that is complete in itself."""
    import nbformat

    book = nbformat.read(notebook, 4)  # type: ignore[no-untyped-call]
    book.metadata.pop("widgets", None)  # their state needs scripts from the network
    body, _ = _exporter().from_notebook_node(book)
    verdict = book.metadata.get("datahall", {})
    text = rendering.page(
        "page.html.j2",
        name=notebook.stem,
        link=quote(notebook.name),
        body=without_scripts(body),
        code_style=_code_style(),
        verdict=verdict,
    )
    keeping.write(target, text)


@cache
def _exporter() -> Any:
    """Return nbconvert's exporter, made once: its templates cost as much as a page."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    settings = Config()
    settings.HTMLExporter.exclude_input_prompt = True
    settings.HTMLExporter.exclude_output_prompt = True
    settings.HTMLExporter.embed_images = True
    exporter = HTMLExporter(template_name="basic", config=settings)  # type: ignore[no-untyped-call]
    # slow, and `without_scripts` cleans the whole page:
    exporter.register_filter("clean_html", lambda text: text)  # type: ignore[no-untyped-call]
    exporter.register_filter("markdown2html", _markdown())  # type: ignore[no-untyped-call]
    return exporter


@cache
def _markdown() -> Any:
    """Return the filter that makes HTML of a text cell: formulas as MathML, `details` whole."""
    from jinja2 import pass_context
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return formula(body, display="block")

        def inline_math(self, body: str) -> str:
            return formula(body, display="inline")

        def block_html(self, html: str) -> str:
            # nbconvert parses each piece to embed pictures, and so closes what a later piece closes
            return str(super().block_html(html)) if "<img" in html else f"{html}\n"

    @pass_context
    def markdown2html(_: Any, source: str) -> str:
        renderer = Renderer(escape=False, embed_images=True, exclude_anchor_links=True)
        return str(MarkdownWithMath(renderer=renderer).render(source))

    return markdown2html


def formula(tex: str, *, display: str = "inline") -> str:
    """Return a formula as MathML, which browsers show without scripts; as it is if it is not TeX.

    Args:
        tex: The formula, in TeX.
        display: `inline` or `block`.

    Example:
        >>> formula("x^2").endswith("<msup><mi>x</mi><mn>2</mn></msup></mrow></math>")
        True
    """
    from latex2mathml import converter

    try:
        return str(converter.convert(tex, display=display))
    except Exception:  # it has a dozen classes of its own, and IndexError
        return f"<code>{html.escape(tex)}</code>"


@cache
def _code_style() -> str:
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

    light = HtmlFormatter(style="default", nobackground=True).get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark", nobackground=True).get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def without_scripts(body: str) -> str:
    """Return HTML without what a browser would run: outputs of notebooks may hold anything.

    Example:
        >>> without_scripts('<p onclick="x()">a<script>y()</script></p>')
        '<p>a</p>'
    """
    from bs4 import BeautifulSoup

    if not _MAY_RUN.search(body):
        return body
    soup = BeautifulSoup(body, "html.parser")
    for element in soup.find_all(["script", "iframe", "object", "embed"]):
        element.decompose()
    for element in soup.find_all(True):
        for name, value in list(element.attrs.items()):
            runs = str(value).strip().lower().startswith("javascript:")
            if name.lower().startswith("on") or runs:
                del element.attrs[name]
    return str(soup)
