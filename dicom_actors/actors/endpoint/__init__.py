"""The endpoint: root, front door, listening, and the tables that outlive every actor below it."""
