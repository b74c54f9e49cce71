"""An executed notebook as a page: the body by nbconvert, the style ours; no script, no network."""

from __future__ import annotations

from pathlib import Path

from datahall.course.report import report


def write(notebook: Path, target: Path) -> None:
    """Write an executed notebook as a page that is complete in itself."""
    import nbformat
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from traitlets.config import Config

    settings = Config()
    settings.HTMLExporter.exclude_input_prompt = True
    settings.HTMLExporter.exclude_output_prompt = True
    settings.HTMLExporter.embed_images = True
    book = nbformat.read(notebook, 4)  # type: ignore[no-untyped-call]
    book.metadata.pop("widgets", None)  # their state needs scripts from the network
    exporter = HTMLExporter(template_name="basic", config=settings)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(book)
    light = HtmlFormatter(style="default", nobackground=True).get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark", nobackground=True).get_style_defs(".highlight")
    code_style = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    verdict = book.metadata.get("datahall", {})
    text = report.page(
        "page.html.j2", name=notebook.stem, body=body, code_style=code_style, verdict=verdict
    )
    temporary = target.with_name(f".{target.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
