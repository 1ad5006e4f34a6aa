"""Training a stored definition again: what a request leaves out is as stored, and what is stored stays as it is."""

from __future__ import annotations

from backend.records import Json, ModelRecord
from nets.hyperparams import ALIASES, Hyperparams, merged, parse_hyperparams

CURE = 'send "update_model": true to store what this run uses'


def filled_in(model: ModelRecord, body: Json) -> Json:
    """The body of a request with `model_id`: the hyperparameters that it leaves out are those of the model.

    SpecError where the stored ones are no longer valid.
    """
    sent = body.get("hyperparams")
    if sent is None:
        return {**body, "hyperparams": model.hyperparams}
    if not isinstance(sent, dict) or model.hyperparams is None:
        return body
    return {**body, "hyperparams": merged(parse_hyperparams(model.hyperparams), sent)}


def remarks(model: ModelRecord, sent: Json, hyperparams: Hyperparams) -> list[str]:
    """What a client should know that sent only part of a definition. `sent`: the body as it came."""
    said = []
    stored, came = model.hyperparams or {}, sent.get("hyperparams") or {}
    kept = [name for name in stored if ALIASES.get(name, name) not in {ALIASES.get(name, name) for name in came}]
    if came and kept:
        said.append(f"hyperparams: {', '.join(came)} as sent; {', '.join(kept)} as stored with model {model.model_id}")
    before = parse_hyperparams(stored).optimizer.type if came else hyperparams.optimizer.type
    if hyperparams.optimizer.type != before:
        now = hyperparams.optimizer.type
        said.append(
            f"hyperparams.optimizer: {now} instead of the stored {before}; what was not sent is {now}'s default"
        )
    return said


def changes(model: ModelRecord, *, architecture: Json, hyperparams: Json | None, update: bool) -> Json:
    """What a run of `architecture` and `hyperparams` changes in the stored definition, if anything.

    `update`: the request asked for it. A model without an architecture gets that of its first run.
    """
    if not update and model.architecture is not None:
        return {}
    if not update and model.hyperparams is not None:
        hyperparams = model.hyperparams
    found = {"architecture": architecture, "hyperparams": hyperparams}
    return {name: value for name, value in found.items() if value not in (None, getattr(model, name))}
