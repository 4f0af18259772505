-- Which studies have changed since somebody was told that they are complete. A number of changes
-- and no time: clocks are set back.
DROP TABLE deadline;

CREATE TABLE watched_study (
    study_instance_uid TEXT PRIMARY KEY,
    -- How often instances came, counted in transactions.
    revision INTEGER NOT NULL,
    -- What that was when it was last told of; 0: never.
    told INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX watched_study_pending ON watched_study (study_instance_uid) WHERE revision > told;

-- Whoever wanted to know of those that were there was told by a version that did not write it down.
INSERT INTO watched_study SELECT study_instance_uid, 1, 1 FROM study;
