//! Reply subjects that cannot be guessed: `<prefix>.<counter>.<tag>`, the tag a SipHash-2-4 of the counter.
//!
//! The counter finds what waits for the reply, the tag shows that the subject was handed out here. Whoever sees
//! a reply subject can still use it: permissions on the prefix are the other half (docs/contract.md 4.2).

use crate::hpub::push_number;

/// Hex digits of a tag.
const TAG: usize = 16;

/// The reply subjects of one process.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// With its dot.
    prefix: String,
    key: [u64; 2],
}

impl Inbox {
    /// `key`: 128 random bits, of this process alone.
    #[must_use]
    pub fn new(prefix: &str, key: [u64; 2]) -> Self {
        Self { prefix: [prefix, "."].concat(), key }
    }

    /// The reply subject of `counter`.
    #[must_use]
    pub fn subject(&self, counter: u64) -> String {
        let mut out = Vec::with_capacity(self.prefix.len() + 20 + 1 + TAG);
        self.push_subject(&mut out, counter);
        crate::token::ascii(out)
    }

    /// Writes it.
    pub(crate) fn push_subject(&self, out: &mut Vec<u8>, counter: u64) {
        out.extend_from_slice(self.prefix.as_bytes());
        push_number(out, counter);
        out.push(b'.');
        let tag = siphash(self.key, counter);
        for byte in tag.to_be_bytes() {
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
    }

    /// The counter of a reply subject; `None` for any that was not made here.
    #[must_use]
    pub fn counter(&self, subject: &[u8]) -> Option<u64> {
        let token = subject.strip_prefix(self.prefix.as_bytes())?;
        let (counter, tag) = token.split_at_checked(token.len().checked_sub(TAG)?)?;
        let counter = counter.strip_suffix(b".")?;
        if counter.is_empty() || (counter[0] == b'0' && counter.len() > 1) {
            return None; // one spelling for each counter
        }
        let counter = counter.iter().try_fold(0_u64, |number, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then(|| number.checked_mul(10)?.checked_add(digit.into())).flatten()
        })?;
        let tag = tag.iter().try_fold(0_u64, |tag, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(tag << 4 | u64::from(value))
        })?;
        // One comparison of two words: its time says nothing about how many digits are right.
        (tag == siphash(self.key, counter)).then_some(counter)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of the eight bytes of `word`.
fn siphash(key: [u64; 2], word: u64) -> u64 {
    const LENGTH: u64 = 8 << 56;
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [word, LENGTH] {
        state[3] ^= block;
        rounds(&mut state, 2);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    rounds(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn rounds([a, b, c, d]: &mut [u64; 4], count: u32) {
    for _ in 0..count {
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::siphash;

    /// The eighth of the reference implementation's vectors: key 00..0f, message 00..07.
    #[test]
    fn the_hash_is_siphash_2_4() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash(key, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }
}
