-- Version 5: runs can be told apart, filtered and sorted.

-- Versions before it named no runs: Python fills the names and summaries in (backend/state/upgrade.py).
ALTER TABLE runs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';

-- Of its metrics, what lists are sorted by (backend/state/summary.py).
ALTER TABLE runs ADD COLUMN summary TEXT;

-- Made by a request for training alone, and never named, changed or promoted since.
ALTER TABLE models ADD COLUMN made_for_run INTEGER NOT NULL DEFAULT 0;

-- Names that are taken.
CREATE INDEX runs_named ON runs (model_id, name);
CREATE INDEX models_named ON models (name);

-- Whatever lists are filtered and sorted by, so that none of the long fields beside it is read.
CREATE INDEX runs_listed ON runs (
    sequence, state, model_id, created_at, started_at, completed_at, name, tags, dataset, device, epoch,
    compile_seconds, test_accuracy, test_loss, summary
);
