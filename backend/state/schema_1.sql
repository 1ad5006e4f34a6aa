-- Everything that outlives the process, except the weights. Version 1 (PRAGMA user_version); later ones add to it.
-- JSON values are TEXT, times are ISO 8601 in UTC with a fixed width, so that they sort as text; booleans are 0 or 1.

CREATE TABLE models (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, -- order of creation: two clocks may agree, this never does
    model_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    description TEXT,
    architecture TEXT,
    hyperparams TEXT,
    trained INTEGER NOT NULL,
    saved_model_path TEXT,
    saved_run_id TEXT,
    last_trained_at TEXT
);

CREATE TABLE runs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    model_id TEXT NOT NULL REFERENCES models (model_id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    created_at TEXT NOT NULL,
    architecture TEXT NOT NULL,
    hyperparams TEXT NOT NULL,
    dataset TEXT NOT NULL,
    dataset_named INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    epochs_total INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    test_accuracy REAL,
    test_loss REAL,
    error TEXT,
    saved_model_path TEXT,
    weights_sha256 TEXT,
    sample_predictions TEXT,
    warnings TEXT NOT NULL,
    device TEXT,
    precision TEXT,
    compile_seconds REAL,
    versions TEXT
);

CREATE INDEX runs_of_model ON runs (model_id, state, completed_at);
CREATE INDEX runs_in_state ON runs (state);

CREATE TABLE events (
    run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    id INTEGER NOT NULL, -- counts up from 1 within the run, without gaps
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, id)
);
