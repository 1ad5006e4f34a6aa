-- Version 4: what nothing looks for needs no column of its own.

-- The other fields of a run, as one JSON object (backend/state/records.py), so that a new one changes no table.
ALTER TABLE runs ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
