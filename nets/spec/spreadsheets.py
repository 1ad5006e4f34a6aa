"""Texts in files of comma-separated values, which spreadsheets open."""

from __future__ import annotations

# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"), the full-width signs as well.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(text: str) -> str:
    """A text that no spreadsheet calculates."""
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
