"""Dropouts, in evaluation: what they do while training is random."""

from tests.nets.parity.case import Case

IMAGE, STEPS, FEATURES = (3, 2, 3), (4, 5), (6,)

CASES = {
    "dropout": Case({"type": "dropout"}, (FEATURES,), "nn.Dropout()", random=True),
    "dropout1d": Case({"type": "dropout1d"}, (STEPS,), "nn.Dropout1d()", random=True, channels_first=True),
    "dropout2d": Case({"type": "dropout2d", "p": 0.2}, (IMAGE,), "nn.Dropout2d(0.2)", random=True),
    "alphadropout": Case({"type": "alphadropout"}, (FEATURES,), "nn.AlphaDropout()", random=True),
    "featurealphadropout": Case({"type": "featurealphadropout"}, (IMAGE,), "nn.FeatureAlphaDropout()", random=True),
    # With nothing to drop, training draws nothing that counts.
    "dropout of nothing": Case({"type": "dropout", "p": 0}, (IMAGE,), "nn.Dropout(0.0)"),
    "dropout2d of nothing": Case({"type": "dropout2d", "p": 0}, (IMAGE,), "nn.Dropout2d(0.0)"),
    "alphadropout of nothing": Case({"type": "alphadropout", "p": 0}, (FEATURES,), "nn.AlphaDropout(0.0)"),
}
