//! Bytes that wait to be written to NATS: commands and lines, whole and in order, in one block.
//!
//! When they are written is decided outside; what may wait is decided here, for the lane and for all others.

/// Bytes from which on a block does not wait (docs/contract.md 2.2).
pub const AT_ONCE: usize = 32 * 1024;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits among others.
    Waits,
    /// It waits, and somebody has to decide when it is written: it is the first, or the block is large now.
    Due,
    /// NATS is away, the command exceeds its `max_payload`, or too much waits.
    Refused,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// Whether NATS is connected.
    pub open: bool,
    /// Of the server: bytes of one command.
    pub max_payload: usize,
    /// `nats.max_pending_bytes`.
    pub max_waiting: usize,
    /// Bytes that were written and had not left when somebody looked last.
    pub written: usize,
}

impl Outbox {
    /// Adds a command that NATS must be able to take.
    pub fn push(&mut self, command: &[u8]) -> Pushed {
        if !self.open
            || command.len() > self.max_payload
            || self.bytes.len() + self.written > self.max_waiting
        {
            return Pushed::Refused;
        }
        self.add(command)
    }

    /// Adds a line that no bound holds back.
    pub fn add(&mut self, line: &[u8]) -> Pushed {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(line);
        let crossed = before < AT_ONCE && self.bytes.len() >= AT_ONCE;
        if before == 0 || crossed { Pushed::Due } else { Pushed::Waits }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hands all that waits to `write`, and forgets it. The room stays, unless a burst made it large.
    pub fn take<R>(&mut self, write: impl FnOnce(&[u8]) -> R) -> R {
        let result = write(&self.bytes);
        self.bytes.clear();
        self.bytes.shrink_to(8 * AT_ONCE);
        result
    }
}
