-- Who shares the index, and the folder. A row is a lease: it holds until it expires by the clock of
-- the database, unless its keeper prolongs it: the node itself, or who takes over what it has left.
CREATE TABLE node (
    name TEXT COLLATE "C" PRIMARY KEY,
    keeper TEXT COLLATE "C" NOT NULL,
    expires TIMESTAMPTZ NOT NULL
);

-- At which nodes instances of a study came that may not be the last ones.
CREATE TABLE study_at_node (
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (study_instance_uid, node)
);
