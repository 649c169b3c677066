"""The cost from a socket's chunk to a decoded frame, against decoding alone and against websockets.

A thousand different MeterValues, each masked with its own key, one a chunk; the rounds of all contenders are
interleaved, so that a busy machine slows all of them. Compare the ratios, not the times.
Run: ``python benchmarks/slicer.py``
"""

import gc
import statistics
import time
from collections.abc import Callable

from codec import FRAMES, ROUNDS, frames, meter_values
from websockets.frames import TEXT, Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from voltgate import Codec
from voltgate._core import Lane

LIMIT = 524_288


def contenders() -> dict[str, tuple[bool, Callable[[bytes], object]]]:
    """Each contender, and whether it gets the masked chunk."""
    codec = Codec("ocpp1.6")
    decode, whole, halves = codec.decode, Lane(codec, LIMIT), Lane(codec, LIMIT)
    judge = ServerProtocol(state=OPEN, max_size=LIMIT)

    def feed(chunk: bytes) -> None:
        whole.feed(chunk, 0.0, 0)

    def in_halves(chunk: bytes) -> None:
        halves.feed(chunk[:200], 0.0, 0)
        halves.feed(chunk[200:], 0.0, 0)

    def sans_io(chunk: bytes) -> None:
        judge.receive_data(chunk)
        for event in judge.events_received():
            assert isinstance(event, Frame)
            decode(bytes(event.data))
        judge.data_to_send()

    return {
        "Codec.decode": (False, decode),
        "Lane.feed": (True, feed),
        "Lane.feed, in halves": (True, in_halves),
        "ServerProtocol + decode": (True, sans_io),
    }


def main() -> None:
    """Print the table."""
    gc.disable()
    texts = frames("MeterValues", meter_values)
    chunks = [Frame(TEXT, text).serialize(mask=True) for text in texts]
    read_back = [
        piece.raw
        for chunk in chunks
        if (piece := Lane(Codec("ocpp1.6"), LIMIT).feed(chunk, 0.0, 0)) is not None
        and not isinstance(piece, bytes)
    ]
    assert read_back == texts, "every contender reads the same"
    field = contenders()
    times: dict[str, list[float]] = {name: [] for name in field}
    for round_ in range(-1, ROUNDS):  # the round before the first warms up
        for name, (masked, read) in field.items():
            given = chunks if masked else texts
            start = time.perf_counter()
            for item in given:
                read(item)
            if round_ >= 0:
                times[name].append((time.perf_counter() - start) / FRAMES * 1e6)
    print(f"{FRAMES} MeterValues of {statistics.mean(map(len, texts)):.0f} B, {ROUNDS} interleaved rounds,")
    print("us a frame: median (quartiles), ratio to Codec.decode")
    alone = statistics.median(times["Codec.decode"])
    for name, rounds in times.items():
        median = statistics.median(rounds)
        low, _, high = statistics.quantiles(rounds, n=4)
        print(f"  {name:26}{median:9.3f} ({low:.3f}-{high:.3f}){median / alone:9.2f} x")


if __name__ == "__main__":
    main()
