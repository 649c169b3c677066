//! One version as a value: its actions, each with the schema nodes of its payloads.

use std::collections::BTreeMap;

use crate::actions::{Sender, actions};
use crate::fault::{Code, Fault, Violation};
use crate::json::Cursor;
use crate::schema::{Compiler, SchemaError};
use crate::tables::{NodeId, Tables};
use crate::version::Version;

/// Which of an action's payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a CALL.
    Request,
    /// Of a CALLRESULT.
    Response,
    /// Of a SEND (docs/ocpp.md A14).
    Send,
}

/// One action of the version and what its payloads must be.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Who may send it.
    pub sender: Sender,
    request: Option<NodeId>,
    response: Option<NodeId>,
    send: Option<NodeId>,
}

impl Entry {
    #[inline]
    pub(crate) const fn node(&self, kind: Kind) -> Option<NodeId> {
        match kind {
            Kind::Request => self.request,
            Kind::Response => self.response,
            Kind::Send => self.send,
        }
    }
}

/// One OCPP version, compiled: immutable, and free to share.
#[derive(Debug)]
pub struct Codec {
    pub(crate) version: Version,
    pub(crate) tables: Tables,
    pub(crate) entries: Vec<Entry>,
    /// The places in `entries` of the names of each length.
    by_length: Vec<Vec<usize>>,
}

impl Codec {
    /// Compiles every schema file of a version; `files` are names without `.json`, and bytes.
    ///
    /// # Errors
    /// A file that does not compile, that belongs to no action, or an action that lacks a file.
    pub fn new<'a>(
        version: Version,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, SchemaError> {
        let mut compiler = Compiler::new(version);
        let mut nodes = BTreeMap::new();
        for (name, bytes) in files {
            nodes.insert(name.to_owned(), compiler.file(name, bytes)?);
        }
        let rules = version.rules();
        let mut entries = Vec::new();
        for action in actions(version) {
            let mut take = |suffix: &str| nodes.remove(&format!("{}{suffix}", action.name));
            let (request, response) = (take(rules.call_file), take("Response"));
            let entry = Entry {
                name: action.name,
                sender: action.sender,
                request,
                response,
                send: rules.send_file.and_then(take),
            };
            let complete =
                request.is_some() == response.is_some() && request.is_some() != entry.send.is_some();
            if !complete {
                return Err(SchemaError(format!("schema files of {} are missing", action.name)));
            }
            entries.push(entry);
        }
        if let Some(name) = nodes.into_keys().next() {
            return Err(SchemaError(format!(
                "schema {name}.json belongs to no action of {}",
                version.token()
            )));
        }
        let longest = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
        let mut by_length = vec![Vec::new(); longest + 1];
        for (index, entry) in entries.iter().enumerate() {
            by_length[entry.name.len()].push(index);
        }
        Ok(Self { version, tables: compiler.finish(), entries, by_length })
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How many schema nodes the tables hold.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.tables.nodes.len()
    }

    /// Every action of the version, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of an action in [`Self::entries`], and whether it is its signed form: 2.x puts `-Signed`
    /// behind any action and a JWS in its payload (docs/ocpp.md A16).
    #[inline]
    #[must_use]
    pub fn find(&self, action: &str) -> Option<(usize, bool)> {
        if let Some(index) = self.place(action) {
            return Some((index, false));
        }
        let bare = action.strip_suffix("-Signed").filter(|_| self.version.rules().signed)?;
        self.place(bare).map(|index| (index, true))
    }

    #[inline]
    fn place(&self, name: &str) -> Option<usize> {
        let candidates = self.by_length.get(name.len())?;
        candidates.iter().copied().find(|index| self.entries[*index].name == name)
    }

    /// Whether `payload` is what `action` asks for in a request (or SEND), or answers.
    #[must_use]
    pub fn check(&self, action: &str, kind: Kind, payload: &[u8]) -> Option<Violation> {
        let fault = self.judge(action, kind, payload).err()?;
        Some(fault.violation(self.version))
    }

    fn judge(&self, action: &str, kind: Kind, payload: &[u8]) -> Result<(), Fault> {
        let refuse = |code, reason| Err(Fault::new(code, true, reason));
        let Some((index, signed)) = self.find(action) else {
            return refuse(Code::NotImplemented, "an action this version does not know");
        };
        let entry = &self.entries[index];
        let send = entry.node(Kind::Send).filter(|_| kind == Kind::Request);
        let Some(node) = entry.node(kind).or(send) else {
            return refuse(Code::NotSupported, "a SEND, which has no response");
        };
        let Ok(text) = std::str::from_utf8(payload) else {
            return refuse(Code::Formation, "the payload is not UTF-8");
        };
        let mut cursor = Cursor::new(text);
        cursor.space();
        let judged = match cursor.peek() {
            b'{' if signed => cursor.value(),
            b'{' => self.tables.value(&mut cursor, node),
            b'n' if self.version.rules().null_payload && cursor.literal("null") => {
                match self.judge_empty(node) {
                    Some(fault) => return Err(fault),
                    None => Ok(()),
                }
            }
            _ => return refuse(Code::Formation, "the payload is not an object"),
        };
        if judged.is_err() {
            return Err(cursor.fault.map_or_else(Fault::unexplained, |fault| *fault));
        }
        cursor.space();
        if cursor.at < text.len() {
            return refuse(Code::Formation, "text after the payload");
        }
        Ok(())
    }

    /// What a node has against `{}`, which a 1.6 `null` counts as (docs/ocpp.md A9).
    pub(crate) fn judge_empty(&self, node: u32) -> Option<Fault> {
        let mut cursor = Cursor::new("{}");
        let judged = self.tables.value(&mut cursor, node);
        judged.err().and(cursor.fault).map(|fault| *fault)
    }
}
