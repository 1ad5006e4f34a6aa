-- Version 3: every row has a checksum, and what ends is ordered by a counter, since clocks are set back.

-- Counts the ends of runs in the order in which they came; the time beside it is for people.
ALTER TABLE runs ADD COLUMN ended INTEGER;
UPDATE runs SET ended = (SELECT max(rowid) FROM events WHERE events.run_id = runs.run_id)
WHERE state IN ('succeeded', 'failed', 'cancelled');

-- What the runs of a model have reached, so that a list of models reads models alone.
ALTER TABLE models ADD COLUMN runs_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN highest_accuracy REAL;
ALTER TABLE models ADD COLUMN latest_run TEXT;

-- How many metrics there are and where the best are (backend/state/curve.py), so that few of many can be shown.
ALTER TABLE runs ADD COLUMN curve TEXT;

-- Over all other columns of a row (backend/state/rows.py): filled in by Python, as soon as the tables have this version.
ALTER TABLE models ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE runs ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;

-- One tree, not a table and an index that may disagree.
CREATE TABLE events_3 (
    run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    id INTEGER NOT NULL, -- counts up from 1 within the run, without gaps
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
INSERT INTO events_3 SELECT run_id, id, name, data,
    event_checksum(CAST(run_id AS BLOB), id, CAST(name AS BLOB), CAST(data AS BLOB)) FROM events;
DROP TABLE events;
ALTER TABLE events_3 RENAME TO events;

DROP INDEX runs_of_model;
CREATE INDEX runs_of_model ON runs (model_id, state, ended);
CREATE INDEX best_of_model ON runs (model_id, state, test_accuracy);
CREATE INDEX runs_ended ON runs (ended);
