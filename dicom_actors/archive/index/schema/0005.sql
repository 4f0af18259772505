-- What an engine is to be told: written in the transaction of the row that it tells of, removed when
-- the engine has it.
CREATE TABLE outbox (
    -- The order, never used again: part of what tells one message from all others.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    size INTEGER NOT NULL,
    reason TEXT NOT NULL,
    -- Attributes of the instance, and of what is above it; empty where it is of no instance.
    upper BLOB NOT NULL,
    own BLOB NOT NULL
) STRICT;

-- Whether anything is written there: a row, or none.
CREATE TABLE outbox_setting (
    id INTEGER PRIMARY KEY,
    -- Of this index, for good.
    identity TEXT NOT NULL,
    -- How many messages may wait, 0: nobody wants any; and what happens then.
    most INTEGER NOT NULL,
    when_full TEXT NOT NULL,
    -- How many were dropped since there was no room.
    dropped INTEGER NOT NULL DEFAULT 0
) STRICT;
