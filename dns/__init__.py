"""DNS: wire questions in, wire answers out."""
