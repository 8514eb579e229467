"""What every blob store does with a stream: hash it while it passes, and refuse what it turns out not to be."""

from collections.abc import Iterator
from hashlib import sha256
from io import BufferedIOBase

from regalia.core.digest import Digest
from regalia.core.errors import DigestError

_CHUNK = 1024 * 1024


def checked(source: BufferedIOBase, digest: Digest, size_bytes: int) -> Iterator[memoryview]:
    """Give a stream piece by piece, each good until the next; what it is not shows at its end.

    Raises:
        DigestError: The stream does not hash to `digest`, or is not `size_bytes` long.
    """
    state, passed, buffer = sha256(), 0, memoryview(bytearray(min(_CHUNK, size_bytes + 1)))
    while count := source.readinto(buffer):
        passed += count
        if passed > size_bytes:
            raise DigestError(f"the blob {digest.short} is longer than the {size_bytes} bytes declared")
        state.update(buffer[:count])
        yield buffer[:count]
    if passed != size_bytes:
        raise DigestError(
            f"the blob {digest.short} has {passed} bytes, declared were {size_bytes}",
            hint="the upload was cut short; push again",
        )
    if state.hexdigest() != digest.hex:
        raise DigestError(
            f"the body hashes to {Digest(state.hexdigest()).short}, the URL says {digest.short}",
            hint="the upload was altered on its way; push again",
        )
