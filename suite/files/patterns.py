"""Patterns of strings in files, in words, so that an error message need not show a regular expression."""

from __future__ import annotations

from collections.abc import Mapping

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"
FUNCTION = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
SELECT = r"^(max|min) (train|val|test|blocked|naive|keops|step)(@\d+)?/[a-z]\w*$"
IN_WORDS: Mapping[str, str] = {
    NAME: "be a name of 1 to 80 letters (A to Z, a to z), digits, and _ . - after the first",
    FUNCTION: "be module:function, such as my_code:make",
    SELECT: "be max or min and a metric, such as max val/accuracy",
    r"^[A-Za-z_]\w*$": "be a name as in Python: letters, digits and _, not beginning with a digit",
    r"^[a-z]\w*$": "be a name of letters, digits and _, and begin with a lowercase letter",
    r"^(val|test)(@\d+)?$": "be val or test, or one of these with a sampling rate, such as test@8000",
    r"^[0-9a-f]{64}$": "be a SHA-256 digest: 64 of the characters 0-9 and a-f",
    r"^[0-9a-f]{16}$": "be 16 of the characters 0-9 and a-f",
    r"^https?://[^/\s]+/\S+$": "be an address that begins with https:// or http:// and names a file",
    r"^[^\n\r\x00]+$": "be one line of text",
}


def in_words(pattern: str) -> str:
    """The end of a sentence with `must` or `should`. A pattern that is not in the table is shown as it is."""
    return IN_WORDS.get(pattern, f"match the pattern {pattern}")
