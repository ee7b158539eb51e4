"""Escaping of names for Markdown tables and LaTeX."""

from __future__ import annotations

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "†": r"\dag{}",
}
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|`*_{}#<>~[]"} | {"\n": " "})


def latex(text: str) -> str:
    r"""Escape what LaTeX reads as commands.

    >>> latex("100 % of a_b")
    '100 \\% of a\\_b'
    """
    return "".join(_LATEX.get(c, c) for c in text).replace("\n", " ")


def markdown(text: str) -> str:
    r"""Escape what Markdown reads as markup or as the edge of a cell.

    >>> markdown("a|b")
    'a\\|b'
    """
    return text.translate(_MARKDOWN)
