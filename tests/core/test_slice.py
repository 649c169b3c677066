"""The lane: named cases, and any stream against websockets alone.

In the property test a ``ServerProtocol`` reads a stream at once; the subject, the lane before another one,
reads the same stream cut anywhere. Both must see the same frames in the same order, write the same bytes and
end for the same reason. Seeded: ``VOLTGATE_SEED`` repeats a run; ``TEST_FULL=1`` runs a million cases.
"""

import gc
import logging
import os
import random
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from frames import BINARY, CLOSE, CONT, FIN, PING, RSV1, RSV2, TEXT, Stream, cut, frame
from voltgate import Codec
from voltgate._core import Frame as OcppFrame
from voltgate._core import Lane, Now

SEED = int(os.environ.get("VOLTGATE_SEED", "6455"))
CASES = 1_000_000 if os.environ.get("TEST_FULL") == "1" else 3_000
SILENT = logging.getLogger("voltgate.tests.websockets")
SILENT.setLevel(logging.CRITICAL + 1)

CODEC = Codec("ocpp1.6")
LIMIT = 200
HEAD = 14  # bytes of the longest header
Piece = bytes | tuple[bytes]

CALL = b'[2,"1","Heartbeat",{}]'
CALL_FRAME = frame(FIN | TEXT, CALL)
PING_FRAME = frame(FIN | PING, b"ping")
CLOSE_FRAME = frame(FIN | CLOSE, b"\x03\xe8bye")
BEGIN, EMPTY, END = frame(TEXT, b"begin"), frame(CONT), frame(FIN | CONT, b"end")
LONG = frame(FIN | TEXT, bytes(LIMIT))
TOO_LONG = frame(FIN | TEXT, bytes(LIMIT + 1))
BIG_PING, BIG_PART = frame(FIN | PING, bytes(126)), frame(CONT, bytes(126))
BEYOND = frame(FIN | TEXT, claim=1 << 63)
PACKED = frame(FIN | TEXT | RSV1, b"\x01\x02\x03")


def taken(lane: Lane, chunk: bytes) -> Iterator[OcppFrame | bytes]:
    """All that a chunk brings out, one by one."""
    piece = lane.feed(chunk, 0.0, 0)
    while piece is not None or lane.spent:
        if piece is not None:
            yield piece
        if lane.spent:
            lane.turn()
        piece = lane.go_on(0.0, 0)


def fed(lane: Lane, chunk: bytes) -> list[Piece]:
    """What a chunk brings out: raw bytes, and the text of a decoded frame as a tuple of one."""
    return [piece if isinstance(piece, bytes) else (piece.raw,) for piece in taken(lane, chunk)]


def joined(pieces: list[Piece]) -> list[Piece]:
    """The pieces with neighbouring raw bytes as one."""
    found: list[Piece] = []
    for piece in pieces:
        if found and isinstance(piece, bytes) and isinstance(found[-1], bytes):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def sorted_out(pieces: list[Piece]) -> tuple[list[Piece], bytes]:
    """The texts, and the raw bytes however they were joined."""
    texts: list[Piece] = [piece for piece in pieces if isinstance(piece, tuple)]
    return texts, b"".join(piece for piece in pieces if isinstance(piece, bytes))


# For each condition that makes slicing sound: the expectation, then chunks with what each brings out.
CASES_BY_NAME = {
    # 1. The lane owns framing; the judge gets whole frames, or the header of one that must fail.
    "a text frame comes out decoded": [(CALL_FRAME, [(CALL,)])],
    "every text frame of a chunk comes out": [(CALL_FRAME * 3, [(CALL,)] * 3)],
    "a text frame in halves comes out with the second": [(CALL_FRAME[:9], []), (CALL_FRAME[9:], [(CALL,)])],
    "what is held does not delay what is whole": [
        (CALL_FRAME + CALL_FRAME[:1], [(CALL,)]),
        (CALL_FRAME[1:] + PING_FRAME, [(CALL,), PING_FRAME]),
    ],
    "an empty text message is one": [(frame(FIN | TEXT), [(b"",)])],
    "a length may be spelled in 2 bytes": [(frame(FIN | TEXT, CALL, form=126), [(CALL,)])],
    "a length may be spelled in 8 bytes": [(frame(FIN | TEXT, CALL, form=127), [(CALL,)])],
    "what is no UTF-8 comes out for the session to refuse": [(frame(FIN | TEXT, b"\xff"), [(b"\xff",)])],
    "a control frame goes on whole": [(PING_FRAME[:5], []), (PING_FRAME[5:], [PING_FRAME])],
    "what goes on does so in its place": [
        (CALL_FRAME + PING_FRAME * 2 + CALL_FRAME, [(CALL,), PING_FRAME * 2, (CALL,)]),
    ],
    "a binary message goes on whole": [(frame(FIN | BINARY, b"x"), [frame(FIN | BINARY, b"x")])],
    "a compressed message goes on whole": [(PACKED[:8], []), (PACKED[8:] + CALL_FRAME, [PACKED, (CALL,)])],
    "a reserved bit is judged there": [(frame(FIN | TEXT | RSV2, b"x"), [frame(FIN | TEXT | RSV2, b"x")])],
    "a control frame of 126 bytes is judged there": [(BIG_PING, [BIG_PING])],
    "a fragmented control frame is judged there": [(frame(PING), [frame(PING)])],
    **{
        f"of opcode {odd} the judge needs two bytes": [(frame(odd) + CALL_FRAME, [bytes((odd, 0x80))])]
        for odd in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "of an unmasked frame too": [(frame(FIN | TEXT, b"x", mask=0) + CALL_FRAME, [b"\x81\x01"])],
    "a message of the very limit comes out": [(LONG, [(bytes(LIMIT),)])],
    "of one beyond it the length is enough, and nothing follows": [
        (TOO_LONG[:3], []),
        (TOO_LONG[3:], [TOO_LONG[:4]]),
        (CALL_FRAME, []),
    ],
    "a length with its top bit set is beyond any limit": [(BEYOND, [BEYOND[:10]])],
    # 2. While the upgrade is decided the bytes wait: they come as one chunk, whatever they are.
    "what waited behind the request's head comes in one chunk": [
        (PING_FRAME + CALL_FRAME + PING_FRAME[:3], [PING_FRAME, (CALL,)]),
        (PING_FRAME[3:], [PING_FRAME]),
    ],
    # 3. While a fragmented message is open all data frames go there; the header goes ahead, for the limit.
    "a fragmented message goes on": [(BEGIN + EMPTY + END, [BEGIN + EMPTY + END])],
    "a new text within it goes on, and fails there": [(BEGIN + CALL_FRAME, [BEGIN + CALL_FRAME])],
    "a control frame within it goes on": [(BEGIN, [BEGIN]), (PING_FRAME, [PING_FRAME]), (END, [END])],
    "behind its end a text comes out again": [(BEGIN + END + CALL_FRAME, [BEGIN + END, (CALL,)])],
    "a fragmented binary is no different": [(frame(BINARY) + CALL_FRAME, [frame(BINARY) + CALL_FRAME])],
    "a header within it goes ahead, once": [
        (BEGIN + END[:1], [BEGIN]),
        (END[1:2], [END[:2]]),
        (END[2:7], []),
        (END[7:] + CALL_FRAME, [END[2:], (CALL,)]),
    ],
    "a long header within it goes ahead when it can be judged": [
        (BEGIN + BIG_PART[:3], [BEGIN]),
        (BIG_PART[3:60], [BIG_PART[:4]]),
        (BIG_PART[60:], [BIG_PART[4:]]),
    ],
    # 4. After a Close nothing is sliced.
    "behind a Close nothing comes": [
        (CALL_FRAME + CLOSE_FRAME + CALL_FRAME, [(CALL,), CLOSE_FRAME]),
        (CALL_FRAME, []),
    ],
    "a Close counts when it is whole": [
        (CALL_FRAME + CLOSE_FRAME[:-1], [(CALL,)]),
        (CLOSE_FRAME[-1:] + CALL_FRAME, [CLOSE_FRAME]),
    ],
    # 5. The connection bounds fragments and unfinished bytes, and must see both.
    "empty fragments go on, to be counted": [(BEGIN + EMPTY * 1001, [BEGIN + EMPTY * 1001])],
}  # fmt: skip


@pytest.mark.parametrize("chunks", CASES_BY_NAME.values(), ids=CASES_BY_NAME.keys())
def test_chunks_are_sliced_into_these_pieces(chunks: list[tuple[bytes, list[Piece]]]) -> None:
    lane = Lane(CODEC, LIMIT)
    assert [joined(fed(lane, chunk)) for chunk, _ in chunks] == [pieces for _, pieces in chunks]


VAST = frame(FIN | TEXT, bytes(9000))
FRONTS = {
    "of a frame that is not whole, what has come": ([CALL_FRAME, CALL_FRAME[:9]], CALL_FRAME[:9]),
    "nothing between frames": ([CALL_FRAME], b""),
    "of a frame that fails by its header, what was in the chunk": (
        [CALL_FRAME + PING_FRAME + TOO_LONG + CALL_FRAME],
        TOO_LONG + CALL_FRAME,
    ),
    "likewise where it came in two chunks": ([TOO_LONG[:3], TOO_LONG[3:9], CALL_FRAME], TOO_LONG[:9]),
    "nothing behind a Close": ([CLOSE_FRAME + CALL_FRAME], b""),
    "never more than a reject holds": ([VAST], VAST[:4110]),
}


@pytest.mark.parametrize(("chunks", "front"), FRONTS.values(), ids=FRONTS)
def test_the_beginning_of_an_unfinished_or_failed_frame_can_be_read(
    chunks: list[bytes], front: bytes
) -> None:
    lane = Lane(CODEC, LIMIT)
    for chunk in chunks:
        fed(lane, chunk)
    assert lane.front == front


@pytest.mark.parametrize("chunks", CASES_BY_NAME.values(), ids=CASES_BY_NAME.keys())
def test_the_same_comes_out_byte_by_byte(chunks: list[tuple[bytes, list[Piece]]]) -> None:
    lane = Lane(CODEC, LIMIT)
    pieces = [piece for chunk, _ in chunks for byte in chunk for piece in fed(lane, bytes([byte]))]
    assert sorted_out(pieces) == sorted_out([piece for _, pieces in chunks for piece in pieces])


def test_frames_for_the_server_protocol_are_returned_one_by_one() -> None:
    """So that what one frame inflates to can be used before the next one inflates."""
    assert fed(Lane(CODEC, LIMIT), PING_FRAME * 2 + PACKED * 2) == [PING_FRAME] * 2 + [PACKED] * 2


def test_a_frame_is_what_the_codec_makes_of_its_text() -> None:
    heard = Lane(CODEC, LIMIT).feed(CALL_FRAME, 0.0, 0)
    assert isinstance(heard, OcppFrame)
    assert (heard.type, heard.message_id, heard.action, heard.payload) == (2, "1", "Heartbeat", b"{}")
    heard = Lane(CODEC, LIMIT).feed(frame(FIN | TEXT, b"\xff"), 0.0, 0)
    assert isinstance(heard, OcppFrame)
    assert not heard.is_text


def test_unfinished_bytes_are_counted() -> None:
    """And forgotten when the frame is whole, or nothing counts any more."""
    lane = Lane(CODEC, LIMIT)
    fed(lane, CALL_FRAME + LONG[:50])
    assert lane.unfinished == 50
    fed(lane, LONG[50:-1])
    assert lane.unfinished == len(LONG) - 1 < LIMIT + HEAD
    fed(lane, LONG[-1:] + TOO_LONG[:3])
    assert lane.unfinished == 3
    fed(lane, TOO_LONG[3:])
    assert lane.unfinished == 0


def test_only_the_returned_frame_is_decoded() -> None:
    """What waits is held as it came, and given back as it is handed on."""
    lane = Lane(CODEC, LIMIT)
    lane.hold(CALL_FRAME * 100)
    lane.hold(PING_FRAME)
    held = lane.unfinished
    assert held == 100 * len(CALL_FRAME) + len(PING_FRAME)
    for left in range(100, 0, -1):
        assert isinstance(lane.feed(b"", 0.0, 0), OcppFrame)
        assert lane.unfinished <= 2 * left * len(CALL_FRAME)
    assert (lane.feed(b"", 0.0, 0), lane.unfinished) == (PING_FRAME, 0)


def test_a_long_frame_byte_by_byte_is_no_longer_work() -> None:
    """Half a million bytes: copying all of them at each would take minutes."""
    text = b"[" + b" " * 500_000 + b"]"
    lane = Lane(CODEC, len(text))
    found = [piece for byte in frame(FIN | TEXT, text) for piece in fed(lane, bytes([byte]))]
    assert found == [(text,)]


class Owner:
    """_core.Lane.listen: what it is told."""

    def __init__(self) -> None:
        self.lane = Lane(CODEC, LIMIT)
        self.time = 7.0
        self.lane.listen(Now(self.read, lambda: 107.0), self)
        self.told: list[object] = []
        self.fault: Exception | None = None

    def read(self) -> float:
        """The monotonic clock."""
        if self.time < 0:
            raise ValueError("the clock")
        return self.time

    def take(self, data: bytes) -> None:
        self._tell(data)

    def took(self, piece: OcppFrame | bytes | None) -> None:
        self._tell(piece if not isinstance(piece, OcppFrame) else (piece.raw,))

    def _tell(self, what: object) -> None:
        self.told.append(what)
        if self.fault is not None:
            raise self.fault

    def failed(self, fault: BaseException) -> None:
        self.told.append(str(fault))


def test_a_chunk_goes_straight_through_or_to_the_connection() -> None:
    owner = Owner()
    owner.lane.receive(CALL_FRAME)
    assert (owner.told, owner.lane.pieces) == ([CALL_FRAME], 0)
    owner.lane.direct = True
    owner.lane.receive(CALL_FRAME)
    owner.lane.receive(PING_FRAME)
    assert owner.told[1:] == [(CALL,), PING_FRAME]
    assert (owner.lane.pieces, owner.lane.seen) == (2, 7.0)


def test_the_connection_is_told_of_what_is_left_and_not_of_nothing() -> None:
    owner = Owner()
    owner.lane.direct = True
    owner.lane.receive(b"")
    assert owner.told == []
    owner.lane.receive(CALL_FRAME[:5])
    assert owner.told == [None]
    owner.lane.receive(CALL_FRAME[5:])
    assert owner.told == [None, (CALL,)]


def test_a_fault_on_the_way_of_a_chunk_is_the_connections() -> None:
    owner = Owner()
    owner.fault = ValueError("not taken")
    owner.lane.receive(b"x")
    owner.lane.direct = True
    owner.lane.receive(CALL_FRAME)
    owner.time = -1.0
    owner.lane.receive(CALL_FRAME)
    assert owner.told == [b"x", "not taken", (CALL,), "not taken", "the clock"]


def test_at_the_end_nobody_is_told() -> None:
    owner = Owner()
    owner.lane.end()
    for owner.lane.direct in (False, True):
        owner.lane.receive(CALL_FRAME)
    assert owner.told == []


def test_a_connection_that_never_ended_is_collected() -> None:
    """Lane and clock refer to it, and it to them."""
    left = weakref.ref(Owner())
    gc.collect()
    assert left() is None


def test_a_lane_is_small() -> None:
    """It is held for every charger, most of them idle."""
    assert sys.getsizeof(Lane(CODEC, LIMIT)) < 200


def test_what_is_refused() -> None:
    with pytest.raises(OverflowError):
        Lane(CODEC, 1 << 32)
    with pytest.raises(OverflowError):
        Lane(CODEC, -1)
    with pytest.raises(TypeError):
        Lane(CODEC, LIMIT).feed(bytearray(b"x"), 0.0, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Owner().lane.receive(bytearray(b"x"))  # type: ignore[arg-type]


def test_answers_are_written_uncompressed_and_read_by_a_client_that_compresses() -> None:
    """The sixth condition: permessage-deflate leaves it to the sender, message by message (RFC 7692 §6)."""
    client = ClientProtocol(parse_uri("ws://charger"), state=OPEN, logger=SILENT)
    client.extensions = [PerMessageDeflate(True, True, 11, 11)]
    client.receive_data(CODEC.encode_result("1", b"{}"))
    [heard] = client.events_received()
    assert isinstance(heard, Frame)
    assert (heard.opcode, heard.data) == (Opcode.TEXT, b'[3,"1",{}]')


# -- any stream ---------------------------------------------------------------------------------------


def judge_of(plan: Stream) -> ServerProtocol:
    """websockets' own, behind its handshake."""
    judge = ServerProtocol(state=OPEN, max_size=plan.limit, logger=SILENT)
    if plan.deflate is not None:
        fresh, bits = plan.deflate
        judge.extensions = [PerMessageDeflate(fresh, True, bits, 9)]
    return judge


@dataclass
class Outcome:
    """What a stream did: frames seen, bytes written, and how it ended."""

    seen: list[tuple[Opcode, bool, bytes]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    end: tuple[object, ...] = ()

    def read(self, judge: ServerProtocol) -> None:
        for event in judge.events_received():
            assert isinstance(event, Frame)
            self.seen.append((event.opcode, event.fin, bytes(event.data)))
        self.written += judge.data_to_send()
        self.end = (judge.state, judge.close_sent, judge.close_rcvd, repr(judge.parser_exc))


class Subject:
    """The lane before its judge, joined as in the connection."""

    def __init__(self, plan: Stream) -> None:
        self.judge, self.limit = judge_of(plan), plan.limit
        self.lane = Lane(CODEC, plan.limit)
        self.outcome, self.native = Outcome(), 0
        self.outcome.read(self.judge)

    def feed(self, chunk: bytes) -> None:
        if self.judge.state is not OPEN:
            return
        for piece in taken(self.lane, chunk):
            if isinstance(piece, bytes):
                self.judge.receive_data(piece)
                self.outcome.read(self.judge)
                if self.judge.state is not OPEN:
                    return
            else:
                self.native += 1
                self.outcome.seen.append((Opcode.TEXT, True, piece.raw))
        assert self.lane.unfinished < self.limit + HEAD
        assert not self.judge.reader.buffer, "the judge is never left with bytes it cannot use"


def compare(number: int, kinds: Counter[str]) -> None:
    """One case, and what kind it was."""
    dice = random.Random(SEED << 32 | number)
    plan = Stream(dice)
    stream = b"".join(plan.frames())
    if dice.random() < 0.3:
        stream = stream[: int(dice.random() * len(stream))]
    judge, wanted, subject = judge_of(plan), Outcome(), Subject(plan)
    judge.receive_data(stream)
    wanted.read(judge)
    chunks = list(cut(stream, dice))
    for chunk in chunks:
        subject.feed(chunk)
    assert subject.outcome == wanted, f"{SEED=} {number=} {plan.limit=} {plan.deflate=} {chunks=}"
    kinds["open" if judge.close_sent is None else str(judge.close_sent.code)] += 1
    kinds["frames"] += len(wanted.seen)
    kinds["native"] += subject.native
    kinds["pongs"] += sum(data[:1] == b"\x8a" for data in wanted.written)
    kinds["unfinished"] += subject.lane.unfinished > 0
    kinds["fragmented"] += any(opcode is Opcode.CONT for opcode, _, _ in wanted.seen)


def test_any_stream_cut_anywhere_is_what_it_is_to_websockets_alone() -> None:
    kinds: Counter[str] = Counter()
    for number in range(CASES):
        compare(number, kinds)
    sys.stdout.write(f"\n{CASES} streams: {dict(kinds.most_common())}\n")
    # The dice reach what they are for: so many a stream.
    least = {"open": 0.3, "1000": 0.01, "1002": 0.1, "1009": 0.05, "4000": 0.01}
    least |= {"frames": 3, "native": 0.8, "pongs": 0.3, "unfinished": 0.15, "fragmented": 0.2}
    assert [kind for kind, share in least.items() if kinds[kind] < share * CASES] == []


def test_every_chunk_has_its_effect_at_once() -> None:
    """Not only in the end: after each chunk both have seen and written the same."""
    for number in range(CASES // 10):
        dice = random.Random(f"{SEED} {number}")
        plan = Stream(dice)
        judge, wanted, subject = judge_of(plan), Outcome(), Subject(plan)
        for chunk in cut(b"".join(plan.frames()), dice):
            judge.receive_data(chunk)
            wanted.read(judge)
            subject.feed(chunk)
            assert subject.outcome == wanted, f"{SEED=} {number=} {plan.limit=} {plan.deflate=} {chunk=}"
