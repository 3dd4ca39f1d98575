"""Builds the wheel: the code, and a copy of the cards, grids, sources of reports and the first study in `suite/_data`.

All else is in `pyproject.toml`. The folders stay at the top of a clone; a wheel has no top-level `datasets`, which is
the name of another package.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PATTERNS = {  # what goes along; the samples of CIFAR-10 and IMDB have no formal licence, and stay out
    "datasets": ["*.yaml", "LICENSES.md", "samples/speech_commands-*.parquet", "samples/bidmc-*.parquet"],
    "grids": ["*.yaml", "schema.json", "AMBIGUITIES.md", "_base/*.yaml", "_profiles/*.yaml"],
    "reports": ["claims.yaml", "published/*.yaml", "tables/*.yaml", "templates/*"],
    "examples": ["README.md", "*.py", "grids/*.yaml", "reports/tables/*.yaml"],
    "study": ["README.md", "my_methods.py", "grids/*.yaml", "reports/*.yaml", "reports/*/*.yaml"],
}


class BuildWithData(build_py):
    """The code as it is, and the suite's own files copied below it."""

    def run(self) -> None:
        """Copy the folders after the code; an editable install finds them where they are."""
        super().run()
        if getattr(self, "editable_mode", False):
            return
        target = Path(self.build_lib) / "suite" / "_data"
        shutil.rmtree(target, ignore_errors=True)  # what an earlier build left
        for folder, patterns in PATTERNS.items():
            for path in sorted(path for pattern in patterns for path in (ROOT / folder).glob(pattern)):
                copy = target / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


setup(cmdclass={"build_py": BuildWithData})
