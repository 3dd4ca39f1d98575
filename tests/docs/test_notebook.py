"""The notebook runs from the first cell to the last, in a kernel of its own, and shows what it says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.mark.slow  # a kernel, pandas and matplotlib start
@pytest.mark.filterwarnings("ignore")  # the libraries of notebooks have warnings of their own
def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs/notebooks/results.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # kept without outputs, so that none is out of date
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "docs/notebooks")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    latex = outputs[-1]["text"]
    assert r"\toprule" in latex and r"$40.1 \pm 0.6$" in latex and r"$14.9 \pm 1.4$" in latex
