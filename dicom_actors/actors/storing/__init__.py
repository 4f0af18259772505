"""What arrives: kept while it comes, and made a file that is whole and durable."""
