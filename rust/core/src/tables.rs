//! The flat tables a version's schemas become: what a value must be, by number.

use crate::noted::Member;

pub(crate) type NodeId = u32;

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Any,
    Object(Object),
    Array {
        item: NodeId,
        min: usize,
        max: usize,
    },
    Text {
        max: usize,
    },
    /// One of `values[first..end]`.
    Choice {
        first: usize,
        end: usize,
    },
    DateTime,
    Uri,
    Integer {
        min: i64,
        max: i64,
        /// draft-04: `1.0` is no integer; since draft-06 it is one.
        exact: bool,
    },
    Number {
        min: Bound,
        max: Bound,
        decimals: Option<u32>,
    },
    Boolean,
}

/// `fields[first..end]`; bit `i` of `required` is `fields[first + i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object {
    pub first: usize,
    pub end: usize,
    pub required: u64,
    pub closed: bool,
}

/// A bound of a number, hashable by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bound(u64);

impl Bound {
    pub fn new(bound: f64) -> Self {
        Self(bound.to_bits())
    }

    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// A key or an enum value with its closing quote behind it, ready to be compared with raw text.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub text: Box<str>,
    token: Box<[u8]>,
    word: u64,
    mask: u64,
}

impl Name {
    pub fn new(text: &str) -> Self {
        let token: Box<[u8]> = [text.as_bytes(), b"\""].concat().into();
        let head = token.len().min(8);
        let (mut word, mut mask) = ([0; 8], [0; 8]);
        word[..head].copy_from_slice(&token[..head]);
        mask[..head].fill(0xFF);
        Self { text: text.into(), token, word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask) }
    }

    /// Whether `rest`, whose first eight bytes are `word`, starts with this name and a quote.
    #[inline]
    pub fn leads(&self, word: u64, rest: &[u8]) -> bool {
        word & self.mask == self.word && (self.token.len() <= 8 || rest.starts_with(&self.token))
    }

    /// The length with the closing quote.
    #[inline]
    pub fn span(&self) -> usize {
        self.token.len()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub name: Name,
    pub node: NodeId,
    pub member: Option<Member>,
}

/// All nodes of a version; equal ones stand once.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub nodes: Vec<Node>,
    pub fields: Vec<Field>,
    pub values: Vec<Name>,
}
