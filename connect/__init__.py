"""Identity and mesh."""
