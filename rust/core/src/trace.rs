//! The trace of a CALL (W3C Trace Context): ids made of what no charger knows, so that lane and session give the
//! same CALL the same ids, and decide alike whether it is sampled. Spans are made outside; a CALL whose trace is not
//! sampled has none, and its facts only say so.

use crate::seen::hash;

/// Bytes of a `traceparent`.
pub(crate) const TEXT: usize = 55;

/// Which traces are sampled, as the sampler outside has it.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Those whose last 64 bits are less than this.
    pub bound: u128,
    /// Of a trace that is not.
    pub flags: u8,
}

/// The root span of a CALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Of the trace.
    pub id: u128,
    /// Of the span.
    pub span: u64,
}

impl Trace {
    /// Of the `frame`th frame of a connection.
    #[must_use]
    pub fn of(session: &str, frame: u64) -> Self {
        let part = |number: u8| hash((session, frame, number));
        // Neither id may be 0.
        Self { id: u128::from(part(0) | 1) << 64 | u128::from(part(1)), span: part(2) | 1 }
    }

    /// Whether it is to be exported.
    #[must_use]
    pub const fn sampled(&self, sampling: Sampling) -> bool {
        self.id & (u64::MAX as u128) < sampling.bound
    }

    /// Its `traceparent`.
    pub(crate) fn write<'a>(&self, flags: u8, text: &'a mut [u8; TEXT]) -> &'a str {
        let mut nibbles = (self.id, u128::from(self.span), u128::from(flags));
        *text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        for (digits, value) in [(3..35, &mut nibbles.0), (36..52, &mut nibbles.1), (53..55, &mut nibbles.2)] {
            for digit in text[digits].iter_mut().rev() {
                *digit = b"0123456789abcdef"[(*value & 15) as usize];
                *value >>= 4;
            }
        }
        std::str::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_all_digits() {
        let trace = Trace { id: 0xf00d, span: 0xfeed_0000_0000_0001 };
        let text = "00-0000000000000000000000000000f00d-feed000000000001-02";
        assert_eq!(trace.write(2, &mut [0; TEXT]), text);
    }

    #[test]
    fn frames_and_sessions_have_traces_of_their_own() {
        let traces = [Trace::of("a", 1), Trace::of("a", 2), Trace::of("b", 1)];
        assert!(traces.iter().all(|one| traces.iter().filter(|other| *other == one).count() == 1));
        assert_eq!(Trace::of("a", 1), traces[0]);
    }

    #[test]
    fn the_bound_is_the_share_that_is_sampled() {
        let share = |bound| {
            let sampled = |frame| Trace::of("a", frame).sampled(Sampling { bound, flags: 0 });
            (0..1000).filter(|&frame| sampled(frame)).count()
        };
        assert_eq!((share(0), share(1 << 64)), (0, 1000));
        assert!((400..600).contains(&share(1 << 63)));
    }
}
