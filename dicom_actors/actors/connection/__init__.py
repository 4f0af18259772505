"""What is known of one TCP connection, whoever serves it: socket, bytes, requests, deadlines."""
