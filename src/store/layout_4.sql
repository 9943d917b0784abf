-- From layout 3 to 4: states of other experiments' trials that an experiment's begin with.
CREATE TABLE needed_states (
  experiment INTEGER NOT NULL REFERENCES experiments,
  state      INTEGER NOT NULL REFERENCES states,
  PRIMARY KEY (experiment, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX states_needed ON needed_states (state);
