"""The tables of an endpoint that outlive every actor: passive, and safe from any thread."""
