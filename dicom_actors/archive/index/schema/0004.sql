-- What is to be sent on. A row is written in the transaction that writes the instance, and removed
-- when its destination has it.

CREATE TABLE destination (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0,
    -- Rows of `queued` by their states, and those that are done.
    waiting INTEGER NOT NULL DEFAULT 0,
    committing INTEGER NOT NULL DEFAULT 0,
    set_aside INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
) STRICT;

-- The ids are the order of arrival, and never used again.
CREATE TABLE queued (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination INTEGER NOT NULL,
    study_instance_uid TEXT NOT NULL,
    -- Empty: all of the study, or of the series.
    series_instance_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    route TEXT NOT NULL,
    priority INTEGER NOT NULL,
    since REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- 0: waiting; 1: sent, storage commitment is awaited; 2: set aside.
    state INTEGER NOT NULL DEFAULT 0,
    transaction_uid TEXT,
    -- The SOP Instance UID that it was sent as.
    sent_as TEXT,
    -- When to ask for commitment again.
    due REAL,
    error TEXT
) STRICT;

CREATE INDEX queued_waiting ON queued (destination, study_instance_uid, id) WHERE state = 0;
CREATE INDEX queued_by_age ON queued (destination, id) WHERE state = 0;
CREATE INDEX queued_committing ON queued (destination, due) WHERE state = 1;
CREATE INDEX queued_set_aside ON queued (destination, id) WHERE state = 2;
CREATE INDEX queued_transaction ON queued (transaction_uid) WHERE transaction_uid IS NOT NULL;

-- A study that has rows that wait for a destination: these are sent one after the other.
CREATE TABLE lane (
    destination INTEGER NOT NULL,
    study_instance_uid TEXT NOT NULL,
    priority INTEGER NOT NULL,
    -- The first of its rows.
    first INTEGER NOT NULL,
    -- When that is tried again; 0: whenever there is time.
    due REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (destination, study_instance_uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX lane_ready ON lane (destination, priority DESC, first) WHERE due = 0;
CREATE INDEX lane_due ON lane (destination, due) WHERE due > 0;

-- What is to be sent on of studies, or of a series of them, once they are complete.
CREATE TABLE routed_study (
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    route TEXT NOT NULL,
    destination TEXT NOT NULL,
    priority INTEGER NOT NULL,
    -- 1: one row for all; 0: one for each instance.
    is_whole INTEGER NOT NULL,
    -- The last of the rows of `instance` that was handed on.
    last INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (study_instance_uid, series_instance_uid, route, destination)
) STRICT, WITHOUT ROWID;

-- Instances that a crash left without a row: whoever sent them was not told of Success, and sends
-- them again. Until then nobody knows where they came from, and so where they go.
CREATE TABLE unrouted (
    sop_instance_uid TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
