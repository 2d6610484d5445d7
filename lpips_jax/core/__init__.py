"""Shared by all packages: constants, errors, files, command lines, HTML pages, and the machine's cores and memory."""
