-- Unified procedure steps, who has subscribed to them, and what these are to be told.

-- `data` is the workitem in Explicit VR Little Endian, the rest is of it.
CREATE TABLE workitem (
    uid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    -- Patient ID; a backslash, where that is several.
    patient_id TEXT NOT NULL,
    -- Scheduled Procedure Step Start DateTime.
    starts TEXT NOT NULL,
    -- When it was over; NULL: it is not.
    ended TEXT,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX workitem_by_start ON workitem (starts, uid);
CREATE INDEX workitem_by_state ON workitem (state, starts, uid);
CREATE INDEX workitem_by_patient ON workitem (patient_id, starts, uid);
CREATE INDEX workitem_by_end ON workitem (ended, uid) WHERE ended IS NOT NULL;

-- An AE that is told of anything. What it is told is numbered without a gap, so that who has read up
-- to a number knows whether he has missed something.
CREATE TABLE subscriber (
    ae_title TEXT PRIMARY KEY,
    -- Whether what is created, or what is and matches the keys (JSON), is subscribed to with a
    -- deletion lock; NULL: it is not.
    everything INTEGER,
    matching INTEGER,
    keys TEXT,
    -- The numbers of its events begin behind this one; were taken up to that; and are up to there.
    begun INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    -- Characters of all that it was ever told.
    told INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE workitem_subscriber (
    workitem TEXT NOT NULL,
    ae_title TEXT NOT NULL,
    has_lock INTEGER NOT NULL,
    PRIMARY KEY (workitem, ae_title)
) STRICT, WITHOUT ROWID;

CREATE INDEX workitem_subscriber_by_title ON workitem_subscriber (ae_title, workitem);

CREATE TABLE workitem_event (
    ae_title TEXT NOT NULL,
    number INTEGER NOT NULL,
    workitem TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    -- `subscriber.told` without it, and what came after.
    told INTEGER NOT NULL,
    -- JSON; NULL: the state as it is when that is read.
    attributes TEXT,
    PRIMARY KEY (ae_title, number)
) STRICT, WITHOUT ROWID;

-- One row: how often subscriptions to what is created have changed, which whoever creates a workitem
-- has looked at; and the highest number of an event of somebody who is told of nothing any more.
CREATE TABLE worklist (
    id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;

INSERT INTO worklist VALUES (1, 0, 0);
