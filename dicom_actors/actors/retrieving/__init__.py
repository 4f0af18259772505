"""C-GET and C-MOVE: sub-operations on the same association, and on others."""
