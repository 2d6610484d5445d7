"""Buckets: every path may be a URL, `gs://bucket/…` or `s3://bucket/…`, and the rest of the code sees local files.

Commands turn a URL into a local path where it comes in, in one of four ways:

- `staging.staged`: an input of many files (a dataset, a checkpoint) is copied to this machine once, and kept.
- `transfer.local_input`, `local_output`, `local_output_directory`: a file or a directory that is read or written once.
- `working_copy.working_copy`: a directory in which one run works for long, such as --workdir. The run works in a
  local copy, which is pushed to the bucket as it changes.
- `files`: a small file, such as settings, a list, or a prepared clip, which many workers write, is read or written as
  bytes.

What file systems offer and object stores do not is replaced as follows.

- *Rename.* An object appears whole or not at all. A directory does not: what consists of several objects ends with the
  one that makes it count. A step of a checkpoint ends with `commit_success.txt`, as Orbax marks steps in buckets, and
  it loses that object first when it is deleted.
- *Lock.* `leases.py`: the run that creates the next object of `.lease/`, which the store grants to one run only, owns
  the directory. It renews the object; who sees it unchanged for long enough, by its own clock, may create the next.
- *Append.* Objects do not grow, so a log is uploaded anew. It is uploaded before the step that it belongs to, so that
  a run resumed from this step finds every line up to it, and drops later ones.

A store that does not answer is asked again; a run goes on meanwhile, and pushes later what it could not push.
"""
