-- From layout 1 to 2: checkpoints.
ALTER TABLE conditions ADD COLUMN ingredients TEXT NOT NULL DEFAULT '{}';
ALTER TABLE experiments ADD COLUMN retention INTEGER NOT NULL DEFAULT 1;
CREATE INDEX member_trials ON members (trial, experiment);
CREATE TABLE checkpoints (
  state INTEGER PRIMARY KEY REFERENCES states,
  blob  BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  step  INTEGER NOT NULL,
  run   INTEGER REFERENCES runs
) STRICT;
CREATE INDEX checkpoint_steps ON checkpoints (step);
CREATE INDEX checkpoint_blobs ON checkpoints (blob);
CREATE TABLE checkpoint_trials (
  state INTEGER NOT NULL REFERENCES checkpoints ON DELETE CASCADE,
  trial INTEGER NOT NULL REFERENCES all_trials,
  step  INTEGER NOT NULL,
  PRIMARY KEY (state, trial)
) STRICT, WITHOUT ROWID;
CREATE INDEX trial_checkpoints ON checkpoint_trials (trial, step);
