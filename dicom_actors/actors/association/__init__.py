"""One association: negotiated, its requests received, handed to handlers and answered, ended."""
