"""Archives: where closed segments of Bronze are kept beside this machine. One adapter a file, each an ``ArchiveStore``.

What belongs here: speaking to an object store or to a folder, and telling what is wrong with it. What does not: which
object holds what, and when it goes there (``storage.bronze.archive``).
"""
