"""Figures that the README and the documentation state, each made by a command."""
