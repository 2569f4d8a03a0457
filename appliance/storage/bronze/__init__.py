"""Bronze on local disk: one directory a pipeline, JSONL segments that only grow, a manifest that chains them by hash.

What belongs here: the format of a segment and everything that writes, reads, compresses, recovers and verifies it.
What does not: judging payloads (sources), understanding them (mapping), deciding how long to keep them (services).

```
<root>/<pipeline_id>/00000000000000000001.jsonl.zst   closed: independent zstd frames, `zstd -d` reads the file
                     00000000000000000001.idx         where each of them begins; the delivery ids within (derived)
                     00000000000000065537.jsonl       open, or closed and not yet compressed: plain lines
                     00000000000000065537.jsonl.rest  after a good end: what the next start need not scan
                     00000000000000065537.jsonl.cut-4711   bytes that a crash left unfinished, kept for a person
                     00000000000000065537.jsonl.damaged    what was closed and could not be read as a whole, likewise
                     manifest.jsonl                   a line for each segment that closed, was replaced, or expired;
                                                      each names the link of the one before
                     corrections.jsonl                what is refined instead of an event; see corrections
                     quarantine.json                  places that could not be read (derived)
```
"""

from appliance.storage.bronze.log import FileBronzeLog

__all__ = ["FileBronzeLog"]
