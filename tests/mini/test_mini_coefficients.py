from __future__ import annotations

import hashlib

import numpy as np
import pytest

from dfbench.errors import SetupError
from dfbench.mini.coefficients import LIMIT, coefficients
from dfbench.mini.facemodel import BLOCK, MODEL_FILE, identity_number, load_face_model
from dfbench.mini.person import SLOTS


def test_the_rule_is_pinned() -> None:
    # The model file lists refused numbers by this rule: a change here would void that list.
    digest = hashlib.blake2b(b"nobody\x0012345\x000", digest_size=64).digest()
    u = (np.frombuffer(digest, "<u8")[:2] // 2**11 + 0.5) / 2**53
    z = np.sqrt(-2 * np.log(u[0])) * np.exp(2j * np.pi * u[1])
    assert coefficients(12345, 32)[:2] == pytest.approx(np.clip([0.8 * z.real, 0.8 * z.imag], -1.7, 1.7), abs=1e-12)
    assert coefficients(12345, 32)[:2] == pytest.approx([-1.68369838, 1.13709414], abs=1e-8)


def test_first_coefficients_do_not_depend_on_their_number() -> None:
    assert np.array_equal(coefficients(7, 32)[:11], coefficients(7, 11))


def test_distribution_of_coefficients() -> None:
    table = np.stack([coefficients(n, 32) for n in range(2000)])
    assert np.abs(table).max() <= LIMIT
    assert abs(table.mean()) < 0.01
    # N(0, 0.8) cut at +-1.7 has a standard deviation of 0.783.
    assert table.std() == pytest.approx(0.783, abs=0.01)
    correlation = np.corrcoef(table.T) - np.eye(32)
    assert np.abs(correlation).max() < 0.12


def test_model_file_is_small_and_holds_no_coefficients() -> None:
    assert MODEL_FILE.stat().st_size <= 1_600_000
    with np.load(MODEL_FILE) as file:
        people = load_face_model().note["people"]
        assert isinstance(people, int)
        forbidden = {people, 2 * people}
        for name in file.files:
            assert not forbidden & set(file[name].shape), name


def test_every_person_has_a_number_of_their_own() -> None:
    model = load_face_model()
    assert len(model.refused) >= SLOTS * BLOCK
    for offset in (0, 40000, len(model.refused) - 1):
        numbers = [identity_number(model, slot, offset) for slot in range(SLOTS)]
        assert len(set(numbers)) == SLOTS
        assert not model.refused[numbers].any()


def test_a_damaged_model_file_is_an_error(tmp_path) -> None:
    broken = tmp_path / "model.npz"
    broken.write_bytes(MODEL_FILE.read_bytes()[:5000])
    with pytest.raises(SetupError):
        load_face_model(broken)
    with pytest.raises(SetupError):
        load_face_model(tmp_path / "absent.npz")
