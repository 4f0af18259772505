"""The services of an archive: handlers for an endpoint, each over an open `Archive`."""
