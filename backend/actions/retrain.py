"""Training a stored definition again: what a request leaves out is as stored, and what is stored stays as it is."""

from __future__ import annotations

from backend.state.records import Json, ModelRecord
from nets.errors import SpecError
from nets.hyperparams.hyperparams import Hyperparams, merged, parse_hyperparams
from nets.hyperparams.parts import ALIASES


def filled_in(model: ModelRecord, body: Json) -> Json:
    """The body of a request with `model_id`: the hyperparameters that it leaves out are those of the model."""
    if body.get("hyperparams") is None:
        return {**body, "hyperparams": model.hyperparams}
    return merged_in(model, body)


def merged_in(model: ModelRecord, body: Json) -> Json:
    """The body with the stored hyperparameters beside those that it names."""
    sent = body.get("hyperparams")
    if not isinstance(sent, dict) or model.hyperparams is None:
        return body
    return {**body, "hyperparams": merged(model.hyperparams, sent)}


def remarks(model: ModelRecord, sent: Json, hyperparams: Hyperparams, *, update: bool) -> list[str]:
    """What a client should know that sent part of a definition, or another. `sent`: the body as it came."""
    said = []
    stored, came = model.hyperparams or {}, sent.get("hyperparams") or {}
    replaced = {ALIASES.get(name, name) for name in came}
    kept = [name for name in stored if ALIASES.get(name, name) not in replaced]
    if came and kept:
        said.append(f"hyperparams: {', '.join(came)} as sent; {', '.join(kept)} as stored with model {model.model_id}")
    before = _parsed(stored) if came else hyperparams
    if before and stored.get("optimizer") and hyperparams.optimizer.type != before.optimizer.type:
        now = hyperparams.optimizer.type
        why = f"{now} instead of the stored {before.optimizer.type}"
        said.append(f"hyperparams.optimizer: {why}; options that were not sent have the defaults of {now}")
    other = hyperparams != before or sent.get("architecture") not in (None, model.architecture)
    if other and not update and model.architecture is not None:
        cure = 'send "update_model": true to store what this run uses'
        said.append(f"model {model.model_id} keeps its own definition; {cure}")
    return said


def _parsed(stored: Json) -> Hyperparams | None:
    """None for a definition of another version of Lamina, which knew other rules: what is sent may mend it."""
    try:
        return parse_hyperparams(stored)
    except SpecError:
        return None


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
