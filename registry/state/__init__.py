"""The in-memory database: tables, views, and what reading them remembers."""
