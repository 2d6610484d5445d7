"""Moved to benchmarks.buckets."""

from benchmarks.buckets import *  # noqa: F403
from benchmarks.buckets import Bucket, bucket, environment  # noqa: F401
