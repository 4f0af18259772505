-- What an archive owes to others, and what it keeps for modalities.

-- Storage commitment that was asked for and is not reported yet. `instances` is JSON: pairs of SOP
-- class and SOP instance.
CREATE TABLE commitment (
    id INTEGER PRIMARY KEY,
    transaction_uid TEXT NOT NULL,
    ae_title TEXT NOT NULL,
    instances TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    UNIQUE (ae_title, transaction_uid)
) STRICT;

CREATE INDEX commitment_by_due ON commitment (due);

-- Data sets in Explicit VR Little Endian by their names: worklist items by the ID of their step,
-- performed procedure steps by their SOP Instance UID.
CREATE TABLE record (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
