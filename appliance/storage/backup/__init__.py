"""A repository of backups in a folder or a bucket: immutable objects named by their content, and a manifest a backup.

What belongs here: which object holds what, sealing, locks between processes, pruning, packing and unpacking files. What
does not: what of an appliance is backed up and in which order (``appliance.backups``), speaking to an object store
(``appliance.storage.archive``).

```
<url>/dash-backup.json          what it is; how the key is sealed with the passphrase, if it is encrypted
      objects/3f/3fa9…          a stretch of a file: as it is, or sealed
      backups/<id>.json         one backup; written last: what is killed before has never been one
      verified/<id>.json        when a backup was read whole, and what came of it
      locks/<who>.json          who writes at present, or prunes
```

An incremental backup stores the objects that are not there yet. No backup depends on another: each lists all its
objects, and an object goes when no backup lists it.
"""
