"""Text for LaTeX: escaping, estimated widths, and folding into lines."""

from __future__ import annotations

import unicodedata

# Widths in Computer Modern, in thousandths of 1 em.
EMS = dict(zip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    500, 556, 444, 556, 444, 306, 500, 556, 278, 306, 528, 278, 833, 556, 500, 556, 528, 392, 394, 389, 556, 528, 722,
    528, 528, 444, 750, 708, 722, 764, 681, 653, 785, 750, 361, 514, 778, 625, 917, 750, 778, 681, 778, 736, 556, 722,
    750, 750, 1028, 750, 750, 611), strict=True))
EMS |= dict.fromkeys("0123456789/?–", 500) | dict.fromkeys(".,:;'|!", 278) | dict.fromkeys("()-", 389)
EMS |= dict.fromkeys(" \u00a0[]", 333) | dict.fromkeys("+=±−×<>~", 778)
UNKNOWN = 3200  # U+XXXX in typewriter
OPTICAL = {10: 1.0, 9: 1.03, 8: 1.065}  # small fonts are relatively wider
ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # after \\, a star or a bracket would be read as an argument
}
MATHS = {
    "±": r"\pm", "×": r"\times", "÷": r"\div", "·": r"\cdot", "−": "-", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq",
    "≈": r"\approx", "∞": r"\infty", "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow",
    "∈": r"\in", "√": r"\surd", "²": "^{2}", "³": "^{3}", "¹": "^{1}", "½": r"\frac{1}{2}", "°": r"^{\circ}",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "θ": r"\theta",
    "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi",
    "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Π": r"\Pi", "Σ": r"\Sigma",
    "Φ": r"\Phi", "Ω": r"\Omega",
}
WORDS = {"–": "--", "—": "---", "…": r"\ldots{}", "\u00a0": "~", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
         "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}"}
ACCENTS = {"\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0308": r'\"', "\u030a": r"\r",
           "\u030c": r"\v", "\u0327": r"\c", "\u0304": r"\=", "\u0306": r"\u", "\u0307": r"\.", "\u030b": r"\H"}


def escape(text: str) -> str:
    """Text without any LaTeX command. Characters that pdflatex has no font for become U+XXXX."""
    plain = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    marked = "".join(_escape(c) for c in plain.replace("--", "-\0-").replace("--", "-\0-"))
    return marked.replace("\0", "{}")  # two hyphens would become a dash


def _escape(char: str) -> str:
    if char in ASCII:
        return ASCII[char]
    if char.isascii():
        return char
    if char in MATHS:
        return rf"\ensuremath{{{MATHS[char]}}}"
    if char in WORDS:
        return WORDS[char]
    base, *accents = list(unicodedata.normalize("NFD", char))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(base, base)  # the accent replaces the dot
        return rf"{ACCENTS[accents[0]]}{{{base}}}"
    return rf"\texttt{{U+{ord(char):04X}}}"


def width(text: str, points: float, bold: bool = False) -> float:
    """The estimated width of a line of text in points, at a font size of `points`. It errs on the large side."""
    ems = sum(EMS.get(c, 800 if len(_escape(c)) < 12 or c in MATHS or c in WORDS else UNKNOWN) for c in text)
    return ems / 1000 * points * OPTICAL.get(round(points), 1.065) * (1.16 if bold else 1.0)


def fold(text: str, room: float, points: float) -> list[str]:
    """The text in lines that are at most `room` points wide. Longer words are cut.

    A no-break space is part of a word.
    """
    lines = [""]
    for word in filter(None, text.split(" ")):
        together = f"{lines[-1]} {word}" if lines[-1] else word
        if width(together, points) <= room:
            lines[-1] = together
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while width(lines[-1], points) > room and len(lines[-1]) > 1:
            cut = next(i for i in range(len(lines[-1]) - 1, 0, -1) if i == 1 or width(lines[-1][:i], points) <= room)
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return lines
