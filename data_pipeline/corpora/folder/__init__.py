"""Your own videos."""
