import pytest
from pydantic import ValidationError

from dfbench.schema.result import Coverage, MetricValue, RunResult

VALUE = {
    "name": "auc.frame", "dataset": "mini", "subset": "c23", "manipulation": "all", "condition": "clean", "value": None,
    "undefined": "only fake samples (3)", "n": 3, "n_media": 1, "n_positive": 3, "coverage": 1.0, "profile": "native",
    "size": 128,
}  # fmt: skip
RUN = {
    "run_id": "r", "model": "m", "protocol": None, "manifests": [], "weights": None, "versions": {}, "device": "cpu",
    "started": "2026-01-01T00:00:00", "seconds": 1, "selection": {}, "failure_policy": "exclude", "metrics": [VALUE],
    "mini": True,
}  # fmt: skip
CONTRACT = {
    "name", "dataset", "subset", "manipulation", "condition", "value", "low", "high", "n", "n_media", "n_positive",
    "coverage", "undefined", "profile", "size", "threshold", "seed", "train_condition", "cluster", "n_clusters",
}  # fmt: skip


def test_json_round_trip_is_the_same_value():
    result = RunResult.model_validate(RUN)
    assert RunResult.model_validate_json(result.model_dump_json()) == result


def test_metrics_have_the_fields_of_the_contract():
    assert set(MetricValue.model_fields) >= CONTRACT
    for name, field in MetricValue.model_fields.items():
        assert field.description or name in CONTRACT


@pytest.mark.parametrize(
    ("change", "field"),
    [({"coverage": 1.1}, "coverage"), ({"n": -1}, "n"), ({"surprise": 1}, "surprise"), ({"size": "big"}, "size")],
)
def test_values_out_of_range_are_refused(change, field):
    with pytest.raises(ValidationError) as caught:
        MetricValue.model_validate(VALUE | change)
    assert caught.value.errors()[0]["loc"] == (field,)


def test_unknown_failure_policy_is_refused():
    with pytest.raises(ValidationError, match="failure_policy"):
        RunResult.model_validate(RUN | {"failure_policy": "drop"})


def test_values_are_frozen():
    row = Coverage(
        dataset="mini", subset="c23", manipulation="real", label=0, condition="clean", requested=2, scored=1,
        by_status={"ok": 1, "no_face": 1},
    )  # fmt: skip
    with pytest.raises(ValidationError, match="frozen"):
        row.scored = 2
