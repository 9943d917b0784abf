-- From layout 2 to 3: values that compare a state with another trial's.
ALTER TABLE experiment_metrics ADD COLUMN relative INTEGER NOT NULL DEFAULT 0;
CREATE TABLE comparisons (
  member INTEGER NOT NULL REFERENCES members ON DELETE CASCADE,
  metric INTEGER NOT NULL REFERENCES metrics,
  trial  INTEGER NOT NULL REFERENCES all_trials,
  PRIMARY KEY (member, metric)
) STRICT, WITHOUT ROWID;
CREATE TABLE new_measurements (
  state     INTEGER NOT NULL REFERENCES states,
  metric    INTEGER NOT NULL REFERENCES metrics,
  value     REAL,
  reference INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (state, metric, reference)
) STRICT, WITHOUT ROWID;
INSERT INTO new_measurements (state, metric, value) SELECT state, metric, value FROM measurements;
DROP TABLE measurements;
ALTER TABLE new_measurements RENAME TO measurements;
