"""What reading answers instead of an event: its newest correction, or nothing because it was dropped or erased."""

from appliance.storage.bronze.corrections import Corrections
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.runs import members


class Overlay:
    """Erased goes before corrected: what was erased does not come back."""

    def __init__(self, manifest: Manifest, corrections: Corrections) -> None:
        self._manifest = manifest
        self._corrections = corrections

    def next_seq(self, seq: int) -> int | None:
        """Return the first event from ``seq`` on that is not answered as it was received."""
        found = (self._manifest.next_erased(seq), self._corrections.next_seq(seq))
        return min((one for one in found if one is not None), default=None)

    def answers(self, first_seq: int, last_seq: int) -> dict[int, bytes | None]:
        """Return what is answered instead of the events within the two, ascending; None: nothing, it is withdrawn."""
        erased = dict.fromkeys(members(self._manifest.erased(first_seq, last_seq)))
        changed: dict[int, bytes | None] = {}
        for seq in self._corrections.between(first_seq, last_seq):
            if seq not in erased and (correction := self._corrections.find(seq)) is not None:
                changed[seq] = None if correction.payload is None else flat(correction.payload)
        return dict(sorted((changed | erased).items()))


def flat(payload: bytes) -> bytes:
    """Return ``payload`` on one line: line breaks (between tokens) become spaces."""
    return payload.replace(b"\r", b" ").replace(b"\n", b" ")
