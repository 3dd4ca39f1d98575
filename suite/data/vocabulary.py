"""Tokens of texts: a vocabulary by frequency in the training texts, and an end mark. Paper, section 5.5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

SPECIALS = ("<pad>", "<unk>", "<eos>")
UNKNOWN, END = 1, 2


@dataclass(frozen=True)
class Texts:
    """Concatenated integer `codes` of all texts, and `starts` (n + 1,), where each text begins."""

    codes: np.ndarray
    starts: np.ndarray

    def of(self, documents: np.ndarray) -> np.ndarray:
        """The concatenated codes of some texts."""
        chosen = np.zeros(len(self.starts) - 1, bool)
        chosen[documents] = True
        return self.codes[np.repeat(chosen, np.diff(self.starts))]


def characters(texts: Sequence[str], limit: int) -> Texts:
    """Code points (uint32) of the first `limit` characters of each text."""
    cut = [np.frombuffer(text[:limit].encode("utf-32-le"), np.uint32) for text in texts]
    return Texts(np.concatenate(cut), np.concatenate([[0], np.cumsum([len(codes) for codes in cut])]))


def tokens(texts: Texts, training: np.ndarray, name: Callable[[int], str] = chr,
           least: int = 1) -> dict[str, np.ndarray]:
    """Arrays `tokens` and `starts` of all texts, each with an end mark, and `symbols`, the names of the tokens.

    Codes that occur at least `least` times in the texts numbered `training` become tokens, ordered by decreasing
    frequency, then by name. Other codes are unknown.
    """
    counts = np.bincount(texts.of(training), minlength=int(texts.codes.max(initial=0)) + 1)
    names = {int(code): name(int(code)) for code in np.flatnonzero(counts >= max(least, 1))}
    kept = sorted(names, key=lambda code: (-counts[code], names[code]))
    size = len(SPECIALS) + len(kept)
    token = np.full(len(counts), UNKNOWN, np.min_scalar_type(size - 1))
    token[kept] = np.arange(len(SPECIALS), size)
    return {"tokens": np.insert(token[texts.codes], texts.starts[1:], END),
            "starts": texts.starts + np.arange(len(texts.starts)),
            "symbols": np.array([*SPECIALS, *(names[code] for code in kept)])}
