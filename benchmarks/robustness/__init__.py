"""Behaviour under damaged files, faulty code and long runs."""
