-- Version 2: runs can be resumed, go on from another run, and keep their best epoch.

-- Ended before its work was done, and may go on.
ALTER TABLE runs ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;

-- The finished run whose training this one continues.
ALTER TABLE runs ADD COLUMN resumed_from TEXT;

-- Of the weights, where keep_best was asked for.
ALTER TABLE runs ADD COLUMN best_epoch INTEGER;

-- Version 1 kept no training state: only what had finished no epoch can go on, from its beginning.
UPDATE runs SET resumable = 1
WHERE epoch = 0 AND (state = 'cancelled' OR (state = 'failed' AND error LIKE 'interrupted: %'));
