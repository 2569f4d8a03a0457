"""Small pictures that are what they say: a PNG, and an SVG to put something into."""

import struct
import zlib

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'
FINE = SVG.format(
    '<defs><circle id="c" r="4"/></defs><use href="#c"/><path d="M0 0h9" fill="url(#g)" style="fill:red"/>'
)


def png(width: int = 2, height: int = 1, more: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x0b\x6e\x4f" * 2 for _ in range(1)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"") + more
