//! What was seen lately, as hashes: `TransactionEvent` keys of a process, answered CALLs of a connection.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Keys of one generation.
const GENERATION: usize = 25_000;
/// Answers of one connection (docs/contract.md 3.4).
const ANSWERS: usize = 8;

pub(crate) fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The last `TransactionEvent` keys, to count those that return with other bytes (docs/contract.md 3.3).
///
/// Two generations: when the younger is full the older is dropped, at no cost for any one message.
#[derive(Debug, Default)]
pub struct TransactionKeys {
    young: HashMap<u64, u64>,
    old: HashMap<u64, u64>,
}

impl TransactionKeys {
    /// Whether `key` was seen with another message id of NATS than `message`; remembers this one.
    pub fn conflicts(&mut self, key: &[u8], message: &[u8]) -> bool {
        let (key, message) = (hash(key), hash(message));
        let before = self.young.get(&key).copied().unwrap_or_else(|| {
            let before = self.old.get(&key).copied().unwrap_or(message);
            if self.young.len() >= GENERATION {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key, before);
            before
        });
        before != message
    }
}

/// A message of one connection: its id, and a fingerprint of its action and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    id: u64,
    content: u64,
}

impl Mark {
    /// `session`: no charger knows it, so none can make two of its payloads collide on purpose.
    #[must_use]
    pub fn of(session: &str, id: &str, action: &str, payload: &[u8]) -> Self {
        Self { id: hash(id), content: hash((session, action, payload)) }
    }
}

/// The last answers of one connection: a repeat (same id, action and payload) is answered as before.
#[derive(Debug)]
pub struct Answered<A> {
    answers: Vec<(Mark, A)>,
}

impl<A> Default for Answered<A> {
    fn default() -> Self {
        Self { answers: Vec::new() }
    }
}

impl<A> Answered<A> {
    /// Remembers `answer`, in place of one under the same id, or of the oldest.
    pub fn add(&mut self, mark: Mark, answer: A) {
        if let Some(place) = self.answers.iter().position(|(other, _)| other.id == mark.id) {
            self.answers.remove(place);
        } else if self.answers.len() == ANSWERS {
            self.answers.remove(0);
        }
        self.answers.push((mark, answer));
    }

    /// The answer to the same message.
    #[must_use]
    pub fn find(&self, mark: Mark) -> Option<&A> {
        self.answers.iter().find(|(other, _)| *other == mark).map(|(_, answer)| answer)
    }
}
