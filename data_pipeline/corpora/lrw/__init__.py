"""LRW, words from BBC television."""
