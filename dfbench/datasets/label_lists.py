"""Read label files of data sets: JSON, CSV and plain lists, with errors that name file and line."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path
from typing import Any

from dfbench.datasets.text_files import read_text
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL

# Words that data sets and their users write for the two labels, and 0 and 1 with 1 = fake, also as booleans.
_WORDS = {
    **dict.fromkeys(("real", "original", "pristine", "genuine", "authentic", "bonafide", "bona-fide"), REAL),
    **dict.fromkeys(("fake", "deepfake", "forged", "manipulated", "synthetic", "generated", "spoof"), FAKE),
}
_NUMBERS = {"0": REAL, "1": FAKE, "0.0": REAL, "1.0": FAKE, "false": REAL, "true": FAKE}
_NOTHING = frozenset({"", "nan", "none", "null", "n/a", "#n/a", "<na>", "nat"})
_NOTHING_OF_R = "NA"  # in this case only: "Na" is a name


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        DataError: not JSON, not an object, or a key occurs twice with different values.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            if key in out and out[key] != value:
                raise DataError(f"{path}: {key!r} occurs twice with different values")
            out[key] = value
        return out

    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=unique)
        if "\\ud" in text.casefold():  # half of a surrogate pair is no text
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not JSON: {error.msg}", "the file may be truncated; copy it again"
        ) from error
    except ValueError as error:  # a number of thousands of digits, or a name that is not text
        raise DataError(f"{path}: not JSON of labels: {error}", "copy it again") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be a label file", "copy it again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} contains a JSON {type(value).__name__}, not an object")
    return value


def location_in(path: Path, key: str) -> str:
    """Return ``FILE, line N`` of a key of a JSON file for messages; only the file if the key is escaped differently."""
    text = read_text(path)
    at = text.find(json.dumps(key))
    return str(path) if at < 0 else f"{path}, line {text.count(chr(10), 0, at) + 1}"


def given(value: object) -> str | None:
    """Return a value of a label file as text; None if it stands for nothing: empty, ``null``, NaN, ``#N/A``.

    Libraries write NaN for an absent name, which otherwise becomes the name ``nan`` of many unrelated clips.

    >>> given(" a.mp4 "), given(float("nan")), given("nan"), given(None), given(0)
    ('a.mp4', None, None, None, '0')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    return None if text.casefold() in _NOTHING or text == _NOTHING_OF_R else text


def read_label(value: object, where: str) -> int:
    """Return the label of a word in any case (``real``, ``genuine``, ``fake``, ``manipulated``), or of 0 and 1 = fake.

    Booleans are numbers: true is 1, fake.

    Raises:
        DataError: anything else.

    >>> read_label("REAL", "x"), read_label(1, "x"), read_label("0", "x")
    (0, 1, 0)
    """
    text = str(value).strip().casefold()
    label = _WORDS.get(text, _NUMBERS.get(text))
    if label is None:
        raise DataError(f"{where}: not a label: {value!r}", "labels are real or fake, or 0 (real) and 1 (fake)")
    return label


def posix(text: str) -> str:
    r"""Return a path of a list with forward slashes, without ``./`` and doubled slashes, in normal form.

    >>> posix(r".\method_A\\12\a.mp4")
    'method_A/12/a.mp4'
    """
    text = normal(text).replace("\\", "/")
    rooted = "/" if text.startswith("/") else ""
    return rooted + "/".join(part for part in text.split("/") if part not in ("", "."))


def normal(text: str) -> str:
    r"""Return a name in Unicode's composed normal form (NFC), in which names of lists and of files are compared.

    File systems and archive programs of macOS decompose letters with accents and Korean syllables: the name looks the
    same and has other bytes.

    >>> normal("e\u0301") == "\u00e9"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)
