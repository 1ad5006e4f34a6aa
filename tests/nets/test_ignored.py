"""What PyTorch's modules take beside what layers have here: left out where it says nothing, else refused with the reason."""

from __future__ import annotations

import pytest

from nets.architecture.read import parse_architecture
from nets.errors import SpecError
from nets.layers import LAYERS

END = {"type": "linear", "out": 3}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((kind, "inplace") for kind in ("relu", "leakyrelu", "rrelu", "hardtanh", "dropout", "alphadropout")),
        *((kind, "batch_first") for kind in ("lstm", "multiheadattention", "transformerencoderlayer")),
    ],
)
def test_what_says_nothing_here_is_taken_and_left_out(kind: str, field: str) -> None:
    sent = dict(LAYERS[kind].examples[0].json)
    plain = LAYERS.parse(sent, ())
    assert LAYERS.parse({**sent, field: True}, ()) == plain and field not in plain.to_json()
    with pytest.raises(SpecError, match=f"{field}: must be true or false, got 1"):
        LAYERS.parse({**sent, field: 1}, ())


REFUSED = [(name, field) for name, cls in LAYERS.items() for field in cls.refused]


@pytest.mark.parametrize(("kind", "field"), REFUSED)
def test_what_a_type_does_not_take_is_refused_with_the_reason_and_a_cure(kind: str, field: str) -> None:
    cls = LAYERS[kind]
    assert field not in cls.model_fields and field not in cls.aliases
    with pytest.raises(SpecError) as failure:
        LAYERS.parse({**cls.examples[0].json, field: 1}, ("layers", 2))
    [problem] = failure.value.problems
    reason = cls.refused[field]
    assert problem.place == f"layers[2].{field}" and problem.got == 1 and ";" in reason
    assert problem.detail.startswith(f"is not a field of {kind}. {reason}. Its fields: type")


def test_options_of_pytorch_that_are_left_are_those_that_are_refused() -> None:
    assert {field for _, field in REFUSED} == {
        *("dim", "end_dim", "return_indices", "recompute_scale_factor", "padding_mode", "proj_size"),
        *("norm_type", "scale_grad_by_freq", "sparse", "stride", "padding", "dilation"),
    }


def test_the_older_names_of_bounds_are_those_of_pytorch() -> None:
    a = parse_architecture({"layers": [{"type": "hardtanh", "min_value": -2, "max_value": 3}, END]})
    assert a.to_json()["layers"][0] == {"type": "hardtanh", "min_val": -2, "max_val": 3}
