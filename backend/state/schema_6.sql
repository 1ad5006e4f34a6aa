-- Version 6: benchmarks, which wait in the queue of the runs.

CREATE TABLE benchmarks (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    benchmark_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
    created_at TEXT NOT NULL,
    name TEXT NOT NULL,
    request TEXT NOT NULL,
    cells_total INTEGER NOT NULL,
    cells_measured INTEGER NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    error TEXT,
    warnings TEXT NOT NULL,
    device TEXT,
    versions TEXT,
    results_sha256 TEXT,
    facts TEXT NOT NULL DEFAULT '{}', -- the other fields, as one JSON object
    checksum INTEGER NOT NULL DEFAULT -1,
    results TEXT -- what results_sha256 is of, and no checksum: behind all that lists read
);

CREATE INDEX benchmarks_in_state ON benchmarks (state);
CREATE INDEX benchmarks_named ON benchmarks (name);

CREATE TABLE benchmark_events (
    benchmark_id TEXT NOT NULL REFERENCES benchmarks (benchmark_id) ON DELETE CASCADE,
    id INTEGER NOT NULL, -- counts up from 1 within the benchmark, without gaps
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (benchmark_id, id)
) WITHOUT ROWID;
