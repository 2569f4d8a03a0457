"""Closed segments in an archive beside the disk, so that a lost machine loses only what had not been closed.

What belongs here: which object holds what, when it goes there, when a file may go because of it, and how a log is made
again from objects alone. What does not: speaking to an object store (``appliance.storage.archive``).

```
<prefix>/<name>/owner.json                                   who archives under this name
<prefix>/<name>/<pipeline_id>/manifest.jsonl                 as on disk
                              corrections.jsonl
                              00000000000000000001.jsonl.zst
```

A pipeline's folder in the archive is a log's directory without what is derived: copied to a disk, it opens.

Order, so that at any moment the archive alone tells what it holds: the manifest first, then the segments it lists, each
read back before the manifest on disk says ``archived``, then the manifest again. What expires: the manifest, then the
objects. What is erased: the manifest, then the new objects; until they are there it is not called erased.
"""
