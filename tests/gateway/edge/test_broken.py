"""What is kept of a frame that closes its socket."""

import pytest

from frames import FIN, MASK, TEXT, frame
from voltgate.gateway.edge.broken import KEPT, payload_of

LONG = b"[2,1," * 2_000


@pytest.mark.parametrize("form", [0, 126, 127])
@pytest.mark.parametrize("mask", [0, MASK])
def test_the_payload_is_unmasked_as_far_as_it_came(form: int, mask: int) -> None:
    text = b"[2,1]"
    whole = frame(FIN | TEXT, text, form=form, mask=mask)
    assert payload_of(whole) == (text, 5)
    assert payload_of(whole[:-2]) == (text[:-2], 5)
    assert payload_of(whole + b"the next frame") == (text, 5)
    for cut in range(len(whole)):
        payload, _ = payload_of(whole[:cut])
        assert text.startswith(payload)


def test_it_is_bounded_and_its_size_is_what_the_header_names() -> None:
    assert payload_of(frame(FIN | TEXT, LONG)) == (LONG[:KEPT], len(LONG))
    assert payload_of(frame(FIN | TEXT, claim=1 << 63)) == (b"", 1 << 63)
