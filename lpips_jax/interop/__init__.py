"""Weights from elsewhere in, models for elsewhere out."""
