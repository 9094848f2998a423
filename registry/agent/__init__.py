"""What an agent does for its own host: local services, checks, anti-entropy."""
