"""Embeddings, attention, and images as sequences."""

from tests.nets.parity.case import Case, Tokens

TEXT = Tokens(7, 5)


def attention(arguments: str, *takes: tuple[int, int], random: bool = False, **fields: object) -> Case:
    """Two heads of six features."""
    layer = {"type": "multiheadattention", "num_heads": 2, **fields}
    return Case(layer, takes or ((5, 6),), f"Attention(6, 2, batch_first=True{arguments})", random=random)


CASES = {
    "multiheadattention": attention(""),
    "attention to another sequence": attention("", (5, 6), (4, 6)),
    "attention of other widths": attention(", kdim=4, vdim=3", (5, 6), (4, 4), (4, 3)),
    "attention without biases": attention(", bias=False, dropout=0.2", bias=False, dropout=0.2, random=True),
    "causal attention": attention(", causal=True", causal=True),
    "attention with a trained key": attention(", add_bias_kv=True", (5, 6), (4, 6), add_bias_kv=True),
    "causal attention with a trained key and one of zeros": attention(
        ", causal=True, add_bias_kv=True, add_zero_attn=True, bias=False",
        causal=True, add_bias_kv=True, add_zero_attn=True, bias=False, batch_first=True,
    ),
    "attention of other widths with a key of zeros": attention(
        ", kdim=4, vdim=3, add_zero_attn=True", (5, 6), (4, 4), (4, 3), add_zero_attn=True
    ),
    "attention with padded keys and added ones": Case(
        [
            {"type": "embedding", "embedding_dim": 2},
            {"type": "relu"},
            {"type": "multiheadattention", "num_heads": 2, "mask_value": 0, "add_bias_kv": True}
            | {"add_zero_attn": True},
        ],
        (Tokens(9, 40),),
        "nn.Sequential(nn.Embedding(40, 2), nn.ReLU(), Attention(2, 2, batch_first=True, mask_value=0, "
        "add_bias_kv=True, add_zero_attn=True))",
    ),
    "attention with padded keys": Case(
        [
            {"type": "embedding", "embedding_dim": 2},
            {"type": "relu"},
            {"type": "multiheadattention", "num_heads": 2, "mask_value": 0},
        ],
        (Tokens(9, 40),),
        "nn.Sequential(nn.Embedding(40, 2), nn.ReLU(), Attention(2, 2, batch_first=True, mask_value=0))",
    ),
    "embedding": Case({"type": "embedding", "embedding_dim": 4}, (TEXT,), "nn.Embedding(5, 4)"),
    "embedding with padding": Case(
        {"type": "embedding", "num_embeddings": 6, "embedding_dim": 3, "padding_idx": 2},
        (TEXT,),
        "nn.Embedding(6, 3, padding_idx=2)",
    ),
    "positionalembedding": Case({"type": "positionalembedding", "max_length": 8}, ((5, 6),), "Positions(8, 6)"),
    "sinusoidal positions": Case({"type": "positionalembedding", "kind": "sinusoidal"}, ((5, 6),), "Sinusoids()"),
    "classtoken": Case({"type": "classtoken"}, ((5, 6),), "ClassToken(6)"),
    "patchembedding": Case(
        {"type": "patchembedding", "patch_size": [2, 3], "embed_dim": 5}, ((3, 4, 6),), "Patches(3, 5, (2, 3), (2, 3))"
    ),
    "sequencepool": Case({"type": "sequencepool", "bias": False}, ((5, 6),), "Pool(6, 1, bias=False)"),
    "sequencepool with a bias": Case(  # whose gradient is 0 but for rounding
        {"type": "sequencepool"}, ((5, 6),), "Pool(6, 1)", within=1e-3
    ),
    "tosequence": Case(
        {"type": "tosequence", "patch_size": [2, 3]},
        ((3, 4, 6),),
        "nn.Sequential(nn.Unfold((2, 3), stride=(2, 3)), Turned())",
    ),
    "toimage": Case(
        {"type": "toimage", "patch_size": [2, 3], "size": [4, 6]},
        ((4, 18),),
        "nn.Sequential(Turned(), nn.Fold((4, 6), (2, 3), stride=(2, 3)))",
    ),
}  # fmt: skip
INITIAL = {
    "multiheadattention": Case(
        {"type": "multiheadattention", "num_heads": 4}, ((3, 64),), "nn.MultiheadAttention(64, 4)"
    ),
    "attention of other widths": Case(
        {"type": "multiheadattention", "num_heads": 4},
        ((3, 100), (3, 120), (3, 140)),
        "nn.MultiheadAttention(100, 4, kdim=120, vdim=140)",
    ),
    "attention with a trained key": Case(
        {"type": "multiheadattention", "num_heads": 4, "add_bias_kv": True},
        ((3, 400),),
        "nn.MultiheadAttention(400, 4, add_bias_kv=True)",
    ),
    "embedding": Case({"type": "embedding", "embedding_dim": 100}, (Tokens(3, 120),), "nn.Embedding(120, 100)"),
    "patchembedding": Case(
        {"type": "patchembedding", "patch_size": 4, "embed_dim": 80}, ((8, 8, 8),), "Patches(8, 80, 4, 4)"
    ),
}
