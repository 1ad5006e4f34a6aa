"""Blocks of Transformers and Mixers."""

from tests.nets.parity.case import Case, Tokens

STEPS = (5, 6)


def encoder(arguments: str, *, random: bool = False, **fields: object) -> Case:
    """Two heads of six features, seven between the linear layers."""
    layer = {"type": "transformerencoderlayer", "nhead": 2, "dim_feedforward": 7, "dropout": 0, **fields}
    return Case(layer, (STEPS,), f"Encoder(6, 2, 7, {arguments})", random=random)


def decoder(arguments: str, *, random: bool = False, **fields: object) -> Case:
    """The same with a memory of four steps."""
    layer = {"type": "transformerdecoderlayer", "nhead": 2, "dim_feedforward": 7, "dropout": 0, **fields}
    return Case(layer, (STEPS, (4, 6)), f"Decoder(6, 2, 7, {arguments})", random=random)


CASES = {
    "encoder": encoder("dropout=0"),
    "encoder of the usual dropout": encoder("", dropout=0.1, random=True),
    "encoder with norms first": encoder(
        "dropout=0, norm_first=True, activation='gelu', layer_norm_eps=0.01",
        norm_first=True, activation="gelu", layer_norm_eps=0.01,
    ),
    "causal encoder without biases": encoder("dropout=0, causal=True, bias=False", causal=True, bias=False),
    "encoder of padded steps": Case(
        [
            {"type": "embedding", "embedding_dim": 6},
            {"type": "threshold", "threshold": 0.3, "value": 0},
            *({"type": "transformerencoderlayer", "nhead": 2, "dim_feedforward": 7, "dropout": 0, "mask_value": 0, "norm_first": first} for first in (False, True)),
        ],
        (Tokens(9, 40),),
        "nn.Sequential(nn.Embedding(40, 6), nn.Threshold(0.3, 0), *(Encoder(6, 2, 7, dropout=0, mask_value=0, norm_first=first) for first in (False, True)))",
    ),
    "decoder": decoder("dropout=0"),
    "causal decoder with norms first": decoder(
        "dropout=0, causal=True, norm_first=True, activation='gelu'", causal=True, norm_first=True, activation="gelu"
    ),
    "decoder of the usual dropout": decoder("bias=False", dropout=0.1, bias=False, random=True),
}  # fmt: skip
INITIAL = {
    "encoder": Case(
        {"type": "transformerencoderlayer", "nhead": 4, "dim_feedforward": 200},
        ((3, 64),),
        "nn.TransformerEncoderLayer(64, 4, 200)",
    ),
    "decoder": Case(
        {"type": "transformerdecoderlayer", "nhead": 4, "dim_feedforward": 200},
        ((3, 64), (3, 64)),
        "nn.TransformerDecoderLayer(64, 4, 200)",
    ),
}
