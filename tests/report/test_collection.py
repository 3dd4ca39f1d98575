"""All tables in one file: their order and numbers, and that pdflatex has nothing to say about them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from paper_store import fill, table_grids
from report_store import fill as fill_demo
from report_store import make_grid, sources

from suite.report.places import natural
from suite.report.report import write_report
from suite.store.folder import encode_rows
from suite.store.store import Store

LMODERN = Path("/usr/share/texmf/tex/latex/lm/lmodern.sty")
HOSTILE = ["50 % & more", "a_b^c~d", "\\input{x}", "$x$ #1", "Müller–Straße", "λ ≤ ½ × 10²", "日本 <b>", "[0]",
           "--- ?` 'q' \""]


def test_grids_stand_in_the_order_of_their_numbers():
    names = ["table10", "table2", "table3b", "table3a", "b", "a2"]
    assert sorted(names, key=natural) == ["a2", "b", "table2", "table3a", "table3b", "table10"]


def test_one_grid_has_no_file_of_several(tmp_path):
    store = Store(tmp_path / "store")
    one, two = make_grid(name="one"), make_grid(name="two")
    fill_demo(store, one)
    single = write_report([one], store, tmp_path / "a", sources(tmp_path), figures=False)
    assert not {"tables.tex", "tables.md"} & {path.name for path in single.paths}
    both = write_report([two, one], store, tmp_path / "b", sources(tmp_path), figures=False)
    assert {"tables.tex", "tables.md"} < {path.name for path in both.paths}
    md = (tmp_path / "b" / "tables.md").read_text()
    assert re.findall(r"^#+ .*", md, re.MULTILINE) == ["# Tables", "## Table one", "## Table two"]
    tex = (tmp_path / "b" / "tables.tex").read_text()
    assert tex.index(r"\renewcommand{\thetable}{one}") < tex.index(r"\renewcommand{\thetable}{two}")
    assert tex.startswith("%") and tex.endswith("\\end{document}\n")


def compiled(folder: Path, name: str = "tables") -> str:
    """What pdflatex logs about a file, run twice as references need it."""
    if shutil.which("pdflatex") is None or not LMODERN.exists():
        pytest.skip("needs pdflatex with lmodern (Debian: texlive-latex-recommended, lmodern)")
    for _ in range(2):
        done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"], cwd=folder,
                              capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return (folder / f"{name}.log").read_text(errors="replace")


def complaints(log: str) -> list[str]:
    return [line for line in log.splitlines() if re.search(r"Warning|^!|Overfull|Missing character|undefined", line)]


@pytest.mark.slow
def test_pdflatex_has_nothing_to_say_about_the_tables_of_the_paper(tmp_path):
    store, grids = Store(tmp_path / "store"), table_grids()
    fill(store, grids)
    write_report(grids, store, tmp_path / "out", figures=False)
    assert complaints(compiled(tmp_path / "out")) == []


@pytest.mark.slow
def test_the_tables_of_each_grid_fit_a_plain_article_while_some_runs_are_not_finished(tmp_path):
    store, grids = Store(tmp_path / "store"), table_grids()
    fill(store, grids)
    for run in {run.run_id: run for grid in grids for run in grid.runs}.values():
        if int(run.config.with_seed(0).run_id, 16) % 4 == 0:
            rows = store.rows(run.run_id)
            (store.folder(run.run_id) / "result.json").unlink()
            (store.folder(run.run_id) / "metrics.jsonl").write_bytes(encode_rows(rows[:2]))
    out = tmp_path / "out"
    write_report(grids, store, out, figures=False)
    texts = [path for path in sorted(out.glob("*.tex")) if path.name != "tables.tex"]
    assert len(texts) == len(grids)
    (out / "plain.tex").write_text("\n".join([
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern,textcomp,array,booktabs}",
        r"\begin{document}", *(rf"\input{{{path.name}}}\clearpage" for path in texts), r"\end{document}"]))
    assert complaints(compiled(out, "plain")) == complaints(compiled(out)) == []
    assert "Not finished: at epoch 2 of" in "".join(path.read_text() for path in texts)


@pytest.mark.slow
def test_a_document_may_say_how_numbers_are_printed(tmp_path):
    store, grid = Store(tmp_path / "store"), make_grid(name="one")
    fill_demo(store, grid)
    write_report([grid], store, tmp_path / "out", sources(tmp_path), figures=False)
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern,textcomp,array,booktabs}"
    own = r"\newcommand{\resultpm}[3][]{\typeout{<#2(#3)>}}\newcommand{\resultnum}[2][]{\typeout{<#2>}}"
    for name, more in (("as-it-is", ""), ("own", own)):
        text = "\n".join([head, more, r"\begin{document}", r"\input{one.tex}", r"\end{document}"])
        (tmp_path / "out" / f"{name}.tex").write_text(text)
        log = compiled(tmp_path / "out", name)
        assert complaints(log) == [] and bool(re.search(r"<[\d.]+\([\d.]+\)>", log)) == (name == "own")


@pytest.mark.slow
def test_pdflatex_has_nothing_to_say_about_names_that_mean_something_to_it(tmp_path):
    store = Store(tmp_path / "store")
    grids = [make_grid(HOSTILE, HOSTILE[:4], name=name) for name in ("one", "two")]
    write_report(grids, store, tmp_path / "out", sources(tmp_path), figures=False)
    log = compiled(tmp_path / "out")
    assert complaints(log) == []
    tex = (tmp_path / "out" / "tables.tex").read_text()
    assert all(part in tex for part in (r"50 \% \& more", r"\textbackslash{}input\{x\}", r"M\"{u}ller", "U+65E5"))
