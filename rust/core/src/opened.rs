//! The lane's open CALL, and its answer, which waits for the `PubAck` of its fact.

use crate::encode;
use crate::publish::Class;
use crate::seen::Mark;

/// Bytes of an answer that is kept: two of the frame's header, an id of 36 characters, and `{}`.
pub(crate) const ANSWER: usize = 62;
/// Room for an answer of [`crate::lane::Lane::stored`].
pub const NO_ANSWER: [u8; ANSWER] = [0; ANSWER];

/// The CALL whose fact is being stored.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) counter: u64,
    pub(crate) class: Class,
    pub(crate) action: usize,
    pub(crate) read_at: f64,
    pub(crate) mark: Option<Mark>,
    pub(crate) answer: [u8; ANSWER],
    pub(crate) size: u8,
}

impl Open {
    pub(crate) fn answer(&self) -> &[u8] {
        &self.answer[..usize::from(self.size)]
    }
}

/// Writes the answer `{}` to `answer` and returns its size; `None` where the id is too long when escaped.
pub(crate) fn short_answer(id: &str, answer: &mut [u8; ANSWER], made: &mut Vec<u8>) -> Option<u8> {
    made.clear();
    encode::push_result(made, id, b"{}");
    answer.get_mut(..made.len())?.copy_from_slice(made);
    u8::try_from(made.len()).ok()
}
