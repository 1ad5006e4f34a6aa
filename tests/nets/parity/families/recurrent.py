"""Recurrent layers."""

from __future__ import annotations

from tests.nets.parity.case import Case

LSTM = {"type": "lstm", "hidden_size": 4}
CASES = {
    "lstm": Case(LSTM, ((5, 3),), "nn.LSTM(3, 4, batch_first=True)"),
    "lstm without bias": Case({**LSTM, "bias": False}, ((5, 3),), "nn.LSTM(3, 4, bias=False, batch_first=True)"),
    "lstm, two layers in both directions": Case(
        {**LSTM, "num_layers": 2, "bidirectional": True},
        ((5, 3),),
        "nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)",
    ),
    "lstm, projected in both directions": Case(
        {**LSTM, "num_layers": 2, "bidirectional": True, "proj_size": 2},
        ((5, 3),),
        "nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, batch_first=True)",
    ),
    "lstm, the last state": Case({**LSTM, "output": "last"}, ((5, 3),), "last(nn.LSTM(3, 4, batch_first=True))"),
    "lstm, the last states of both directions": Case(
        {**LSTM, "bidirectional": True, "num_layers": 2, "output": "last"},
        ((5, 3),),
        "last(nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True))",
    ),
    "lstm, dropout between layers": Case(
        {**LSTM, "num_layers": 2, "dropout": 0.5},
        ((5, 3),),
        "nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True)",
        random=True,
    ),
    "gru": Case({"type": "gru", "hidden_size": 4}, ((5, 3),), "nn.GRU(3, 4, batch_first=True)"),
    "gru without bias, two layers in both directions": Case(
        {"type": "gru", "hidden_size": 4, "num_layers": 2, "bidirectional": True, "bias": False},
        ((5, 3),),
        "nn.GRU(3, 4, num_layers=2, bidirectional=True, bias=False, batch_first=True)",
    ),
    "gru, the last states of both directions": Case(
        {"type": "gru", "hidden_size": 4, "bidirectional": True, "output": "last"},
        ((5, 3),),
        "last(nn.GRU(3, 4, bidirectional=True, batch_first=True))",
    ),
    "gru of one step": Case({"type": "gru", "hidden_size": 4}, ((1, 3),), "nn.GRU(3, 4, batch_first=True)"),
    "rnn": Case({"type": "rnn", "hidden_size": 4}, ((5, 3),), "nn.RNN(3, 4, batch_first=True)"),
    "rnn, relu, two layers in both directions": Case(
        {"type": "rnn", "hidden_size": 4, "nonlinearity": "relu", "num_layers": 2, "bidirectional": True},
        ((5, 3),),
        'nn.RNN(3, 4, nonlinearity="relu", num_layers=2, bidirectional=True, batch_first=True)',
    ),
    "rnn, the last states of both directions, without bias": Case(
        {"type": "rnn", "hidden_size": 4, "bidirectional": True, "bias": False, "output": "last"},
        ((5, 3),),
        "last(nn.RNN(3, 4, bidirectional=True, bias=False, batch_first=True))",
    ),
}
INITIAL = {
    "lstm, projected in both directions": Case(
        {"type": "lstm", "hidden_size": 40, "bidirectional": True, "proj_size": 20},
        ((5, 30),),
        "nn.LSTM(30, 40, bidirectional=True, proj_size=20, batch_first=True)",
    ),
    "gru": Case({"type": "gru", "hidden_size": 40}, ((5, 30),), "nn.GRU(30, 40, batch_first=True)"),
    "rnn": Case({"type": "rnn", "hidden_size": 40}, ((5, 30),), "nn.RNN(30, 40, batch_first=True)"),
}
