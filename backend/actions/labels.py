"""What people call a run, changed in any state: no event tells of it, and training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.errors import not_found
from backend.parsing.requests import LabelBody, check
from backend.state.errors import UnknownRecord
from backend.state.records import Json
from backend.state.store import Store


@dataclass(frozen=True)
class Labels:
    """Name, tags and notes of runs."""

    store: Store

    def change(self, run_id: str, body: Json) -> None:
        """Change the fields that came. null empties tags and notes, and gives a run its generated name back."""
        request = check(LabelBody, body)
        came = request.model_fields_set
        changes: dict[str, Any] = {}
        if "tags" in came:
            changes["tags"] = request.tags or []
        if "notes" in came:
            changes["notes"] = request.notes or None
        if "name" in came:
            changes["name"] = request.name or ""
        try:
            self.store.update_run(run_id, **changes)
        except UnknownRecord:
            raise not_found("run", run_id, listing="/api/runs") from None
