from __future__ import annotations

import pickle

import pytest

from dfbench import errors


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {
        cls.__name__: cls.exit_code
        for cls in (errors.UsageError, errors.DataError, errors.ModelError, errors.SetupError)
    }
    assert codes == {"UsageError": 2, "DataError": 3, "ModelError": 4, "SetupError": 5}


@pytest.mark.parametrize("cls", [errors.DataError, errors.UndefinedMetric, errors.SetupError])
def test_errors_survive_the_way_back_from_a_worker(cls: type[errors.DfbenchError]) -> None:
    back = pickle.loads(pickle.dumps(cls("what", "do this")))
    assert type(back) is cls
    assert (back.message, back.hint, str(back)) == ("what", "do this", "what")


def test_a_far_name_gets_no_false_suggestion() -> None:
    error = errors.unknown_name("model", "zzz", ["grnet"], "dfbench list models")
    assert "did you mean" not in error.hint
    assert error.hint == "Known: grnet. See: dfbench list models"
