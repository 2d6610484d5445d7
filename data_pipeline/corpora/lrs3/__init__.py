"""LRS3, sentences from TED talks."""
