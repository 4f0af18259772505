-- Where several nodes share the index: which of them sends to a destination. That holds for as long as
-- the lease of the node does, so that there is one at a time, and another one when it is gone.
CREATE TABLE sending (
    destination INTEGER NOT NULL PRIMARY KEY,
    node TEXT NOT NULL
) STRICT;
