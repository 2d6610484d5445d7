"""LRS2, sentences from BBC television."""
