//! Every action of every version: who may send it, its class, who answers it. Our own table.

use crate::version::Version;

/// Who may send an action as CALL or SEND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Only a charger.
    Charger,
    /// Only a CSMS.
    Csms,
    /// Either side.
    Both,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The action's name, without the Request suffix (docs/ocpp.md A5).
    pub name: &'static str,
    /// Who may send it.
    pub sender: Sender,
    /// `tx`, `event`, `live`, or `command` for what only a CSMS sends.
    pub class: &'static str,
    /// `gateway`, `backend`, `backend-if-idtoken`, or `none`.
    pub answer: &'static str,
}

/// The rows of a version, sorted by name.
///
/// # Panics
/// Never: the table is part of the source and its form is tested.
#[must_use]
pub fn actions(version: Version) -> Vec<Action> {
    include_str!("actions.tsv")
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('\t');
            (cells.next() == Some(version.token())).then(|| {
                let mut cell = || cells.next().expect("actions.tsv has five columns");
                let (name, sender, class, answer) = (cell(), cell(), cell(), cell());
                let sender = match sender {
                    "charger" => Sender::Charger,
                    "csms" => Sender::Csms,
                    _ => Sender::Both,
                };
                Action { name, sender, class, answer }
            })
        })
        .collect()
}
