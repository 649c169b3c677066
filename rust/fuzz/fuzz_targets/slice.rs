//! Random bytes, chunked by the first of them, through the slicer: chunking does not matter, bounds hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voltgate_core::slice::{Piece, Slicer};

const LIMIT: u32 = 200;

/// The texts, and the raw bytes with a mark for each text.
fn slice<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Vec<Option<u8>>, usize) {
    let (mut texts, mut raw, mut slicer) = (Vec::new(), Vec::new(), Slicer::new(LIMIT));
    for chunk in chunks {
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Text(text) => {
                assert!(text.len() <= LIMIT as usize);
                let mut plain = vec![0; text.len()];
                text.unmask(&mut plain);
                texts.push(plain);
                raw.push(None);
            }
            Piece::Raw(bytes) => raw.extend(bytes.iter().copied().map(Some)),
        };
        let mut next = slicer.feed(chunk, &mut sink);
        while next.is_some() {
            next = slicer.feed(&[], &mut sink);
        }
        assert!(slicer.unfinished() < LIMIT as usize + 14);
    }
    (texts, raw, slicer.unfinished())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = slice(std::iter::once(stream));
    assert_eq!(slice(stream.chunks(usize::from(*size).max(1))), whole);
});
