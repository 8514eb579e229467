"""A closed loop of kept connections: the same one against us and against peers."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice


@dataclass(frozen=True)
class Load:
    """What a loop saw: requests a second, and percentiles in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float
    requests: int


def run(port: int, request: bytes, *, connections: int = 16, seconds: float = 5.0, others: Sequence[int] = ()) -> Load:
    """Send one request over and over on each connection, to this port and others by turns; each answer must be 200."""
    return asyncio.run(_run((port, *others), request, connections, seconds))


async def _run(ports: Sequence[int], request: bytes, connections: int, seconds: float) -> Load:
    ends_at = time.perf_counter() + seconds
    started = time.perf_counter()
    turns = islice(cycle(ports), connections)
    found = await asyncio.gather(*(_loop(port, request, ends_at) for port in turns))
    spent_s = time.perf_counter() - started
    times = sorted(one for times in found for one in times)
    return Load(len(times) / spent_s, times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3, len(times))


async def _loop(port: int, request: bytes, ends_at: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    while (began := time.perf_counter()) < ends_at:
        writer.write(request)
        await answer(reader)
        times.append(time.perf_counter() - began)
    writer.close()
    return times


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read an answer, which must be 200; gives its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return await reader.readexactly(int(lengths[0].split(b":")[1]))


def request_of(path: str, port: int, token: str | None = None) -> bytes:
    """Write a GET request."""
    entry = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{entry}\r\n".encode()
