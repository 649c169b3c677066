//! The three served OCPP versions: their names and the rules that differ by version.

/// A served OCPP-J version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// OCPP-J 1.6 with the security extension.
    V16,
    /// OCPP 2.0.1.
    V201,
    /// OCPP 2.1.
    V21,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 3] = [Self::V16, Self::V201, Self::V21];

    /// The token used in NATS subjects, metric labels and config.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::V16 => "v16",
            Self::V201 => "v201",
            Self::V21 => "v21",
        }
    }

    /// The registered websocket subprotocol (OCPP.md A1).
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
            Self::V21 => "ocpp2.1",
        }
    }

    /// The version of a token or of a subprotocol name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| name == v.token() || name == v.subprotocol())
    }
}
