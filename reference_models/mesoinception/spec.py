"""What MesoInception-4 says about itself; free of torch. Paper, sizes and recipe are those of Meso-4."""

from __future__ import annotations

from dataclasses import replace

from reference_models.meso.spec import MESO4
from reference_models.mesoinception.keys import MESOINCEPTION4 as MESOINCEPTION4_FILES

MESOINCEPTION4 = replace(
    MESO4,
    name="mesoinception4",
    target="reference_models.mesoinception.network:MesoInception4",
    options={"binary_outputs": 2, "inner_relu": True, "normalization": "none"},
    foreign_keys=MESOINCEPTION4_FILES,
)
