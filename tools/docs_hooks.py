"""Hooks of mkdocs: generated parts of pages, formulas as MathML, pages of kept results, and a final check."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

from docs_pages import KEPT, MARK, filled_in  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the report of each kept result below `gallery/`."""
    from mkdocs.structure.files import File

    for folder in sorted(KEPT.iterdir()):
        for path in sorted((folder / "report").rglob("*")):
            if path.is_file() and path.suffix != ".md":
                place = f"gallery/{folder.name}/{path.relative_to(folder / 'report').as_posix()}"
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert the generated parts."""
    return filled_in(markdown) if MARK.search(markdown) else markdown


def on_page_content(content: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Convert formulas to MathML, which browsers show without a script."""
    from latex2mathml.converter import convert

    def formula(found: re.Match[str]) -> str:
        if found[1] == "span":
            return convert(html.unescape(found[2]))
        return f'<div class="formula">{convert(html.unescape(found[2]), display="block")}</div>'

    return FORMULA.sub(formula, content)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Check the built site. Raises PluginError, which ends the build, if a page lacks the parts made by these hooks."""
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    for page in KEPT.glob("*/report/index.html"):
        if (site / "gallery" / page.parts[-3] / page.name).read_bytes() != page.read_bytes():
            raise PluginError(f"the page of {page.parts[-3]} in the gallery is not the kept one")
    for page, part in (("verdicts.html", "<math"), ("reference/command-line.html", "--decide")):
        if part not in (site / page).read_text(encoding="utf-8"):
            raise PluginError(f"{page} has no {part}")
