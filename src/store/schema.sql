-- The tables of results.db, layout 4. docs/store.md explains them to users, whose interface are
-- the views (views.cpp): tables may change with a new layout, views only grow.
--
-- A later layout is a migration (migrate.cpp) on top of this file; this file is then changed too,
-- so that it always shows what a new store gets.

-- An experiment as declared last. Declaring it again replaces its members, never any result.
CREATE TABLE experiments (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  source      TEXT NOT NULL,            -- the file's text, for provenance
  digest      BLOB NOT NULL,            -- of all that was declared: an unchanged one is left alone
  members     INTEGER NOT NULL,
  retention   INTEGER NOT NULL DEFAULT 1  -- of checkpoints: 0 none, 1 the newest, 2 all
) STRICT;

-- Conditions are long and shared: a variation's control and all its interventions have the same.
-- Not unique: the same text may be here once for every time that it was declared.
CREATE TABLE conditions (
  id          INTEGER PRIMARY KEY,
  json        TEXT NOT NULL,
  ingredients TEXT NOT NULL DEFAULT '{}'  -- JSON: digest of the data, revisions of components
) STRICT;

-- One row for every process that ever worked on the store. Times are for people: nothing
-- compares them.
CREATE TABLE runs (
  id          INTEGER PRIMARY KEY,
  experiment  TEXT NOT NULL,            -- its name
  command     TEXT NOT NULL,
  version     TEXT NOT NULL,            -- of perturb
  fingerprint TEXT NOT NULL,            -- JSON: LibTorch, BLAS, CPU capability, device, threads
  host        TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  started     TEXT NOT NULL,            -- UTC, ISO 8601
  ended       TEXT,                     -- null: under way, or died
  outcome     TEXT,                     -- null: under way; 'died': ended without saying so
  conflicts   INTEGER NOT NULL DEFAULT 0  -- values that differed from stored ones, which were kept
) STRICT;

-- Every trial that any experiment ever had or that a record came for. The view `trials` shows
-- those that are members of an experiment now.
CREATE TABLE all_trials (
  id         INTEGER PRIMARY KEY,
  digest     BLOB NOT NULL UNIQUE,
  condition  INTEGER REFERENCES conditions,  -- null: recorded, but never declared here
  operations TEXT,                      -- JSON
  outcome    TEXT,                      -- of the latest attempt; null: never carried out
  step       INTEGER,                   -- how far that came; for a failure, the step that failed
  done       INTEGER,                   -- the furthest step of an attempt that was done
  message    TEXT NOT NULL DEFAULT '',
  seconds    REAL NOT NULL DEFAULT 0,   -- all attempts together
  trained    INTEGER NOT NULL DEFAULT 0,  -- optimizer steps, all attempts together
  run        INTEGER REFERENCES runs    -- the run that brought the outcome
) STRICT;

CREATE TABLE members (
  id           INTEGER PRIMARY KEY,
  experiment   INTEGER NOT NULL REFERENCES experiments,
  number       INTEGER NOT NULL,
  control      INTEGER NOT NULL,        -- the number of its control; its own for a control
  variation    INTEGER NOT NULL,
  intervention TEXT NOT NULL,
  trial        INTEGER NOT NULL REFERENCES all_trials,
  steps        INTEGER,                 -- asked for; states beyond are not shown. null: no limit
  UNIQUE (experiment, number)
) STRICT;

CREATE INDEX member_trials ON members (trial, experiment);

-- One row a member, one column a factor ("optimizer.lr"). Columns are added when a factor is
-- first declared and never removed; their values keep the type that they had in the condition.
CREATE TABLE factors (
  member INTEGER PRIMARY KEY REFERENCES members ON DELETE CASCADE
) STRICT;

-- Measurements belong to states, not to trials: trials with the same past share them.
CREATE TABLE states (
  id     INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE trial_states (
  trial INTEGER NOT NULL REFERENCES all_trials,
  step  INTEGER NOT NULL,
  epoch REAL NOT NULL,                  -- passes over the training set made before that step
  state INTEGER NOT NULL REFERENCES states,
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;
-- A trial is compared with its control at the same epoch. With the state, so that the index alone
-- answers.
CREATE INDEX trial_epochs ON trial_states (trial, epoch, state);

-- The file blobs/aa/<blob> is there before a row refers to it, and goes after the last that does.
CREATE TABLE checkpoints (
  state INTEGER PRIMARY KEY REFERENCES states,
  blob  BLOB NOT NULL,                  -- SHA-256 of the file
  bytes INTEGER NOT NULL,
  step  INTEGER NOT NULL,
  run   INTEGER REFERENCES runs         -- the run that made it
) STRICT;
CREATE INDEX checkpoint_steps ON checkpoints (step);
CREATE INDEX checkpoint_blobs ON checkpoints (blob);
-- Who goes through a state with a checkpoint. Of the few such states only.
CREATE TABLE checkpoint_trials (
  state INTEGER NOT NULL REFERENCES checkpoints ON DELETE CASCADE,
  trial INTEGER NOT NULL REFERENCES all_trials,
  step  INTEGER NOT NULL,
  PRIMARY KEY (state, trial)
) STRICT, WITHOUT ROWID;
CREATE INDEX trial_checkpoints ON checkpoint_trials (trial, step);

-- States of other experiments' trials that an experiment's trials begin with: their checkpoints stay.
CREATE TABLE needed_states (
  experiment INTEGER NOT NULL REFERENCES experiments,
  state      INTEGER NOT NULL REFERENCES states,
  PRIMARY KEY (experiment, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX states_needed ON needed_states (state);

CREATE TABLE metrics (
  id         INTEGER PRIMARY KEY,
  digest     BLOB NOT NULL UNIQUE,      -- of kind, parameters and revision
  name       TEXT NOT NULL,             -- 'test.accuracy'; '' when only recorded, never declared
  parameters TEXT NOT NULL              -- JSON
) STRICT;

-- The trial whose state a member's is compared with for a metric that is relative, at the same epoch.
CREATE TABLE comparisons (
  member INTEGER NOT NULL REFERENCES members ON DELETE CASCADE,
  metric INTEGER NOT NULL REFERENCES metrics,
  trial  INTEGER NOT NULL REFERENCES all_trials,
  PRIMARY KEY (member, metric)
) STRICT, WITHOUT ROWID;

-- What an experiment asks for, by name so that `results` comes in the order of names.
CREATE TABLE experiment_metrics (
  experiment INTEGER NOT NULL REFERENCES experiments,
  name       TEXT NOT NULL,
  metric     INTEGER NOT NULL REFERENCES metrics,
  relative   INTEGER NOT NULL DEFAULT 0,  -- 1: its values depend on another trial's state, too
  PRIMARY KEY (experiment, name, metric)
) STRICT, WITHOUT ROWID;

-- SQLite has infinities but no NaN: a row whose value is null measured NaN, and what was not
-- measured has no row.
CREATE TABLE measurements (
  state     INTEGER NOT NULL REFERENCES states,
  metric    INTEGER NOT NULL REFERENCES metrics,
  value     REAL,
  reference INTEGER NOT NULL DEFAULT 0,  -- the state that it was compared with; 0: none
  PRIMARY KEY (state, metric, reference)
) STRICT, WITHOUT ROWID;
