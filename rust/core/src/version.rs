//! The served OCPP versions, and as data everything in which they differ beside their schemas and actions.
//!
//! A new version is a name in `versions!`, a value in [`Version::rules`] (the compiler asks for it), its rows in
//! `actions.tsv` and its schemas (`Codec::new` fails where one of the two lacks what the other has).

macro_rules! versions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A served OCPP-J version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Version {
            $($(#[$doc])* $name),+
        }

        impl Version {
            /// All versions, oldest first.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];
        }
    };
}

versions! {
    /// OCPP-J 1.6 with the security extension.
    V16,
    /// OCPP 2.0.1.
    V201,
    /// OCPP 2.1.
    V21,
}

/// The rules of one version.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a version, not states")]
pub struct Rules {
    /// The token used in NATS subjects, metric labels and config.
    pub token: &'static str,
    /// The registered websocket subprotocol (docs/ocpp.md A1).
    pub subprotocol: &'static str,
    /// The suffix of an action in the name of a CALL's schema file.
    pub call_file: &'static str,
    /// The same for a SEND; `None` where there are none.
    pub send_file: Option<&'static str>,
    /// Whether a payload may be `null`, which counts as `{}` (docs/ocpp.md A9).
    pub null_payload: bool,
    /// Whether `-Signed` may follow any action (docs/ocpp.md A16).
    pub signed: bool,
    /// Whether there are CALLRESULTERROR and SEND, message types 5 and 6 (docs/ocpp.md A13, A14).
    pub result_errors: bool,
    /// Whether a message type the version does not know is answered (docs/ocpp.md A10).
    pub answers_unknown_type: bool,
    /// The id of a CALLERROR where none can be read; `None`: there is no answer (docs/ocpp.md A11).
    pub unreadable_id: Option<&'static str>,
    /// CALLs of a charger that pass while its `BootNotification` is Pending (docs/ocpp.md A18).
    pub passes_while_pending: &'static [&'static str],
    /// Whether transactions are `TransactionEvent`s instead of `StartTransaction` and `StopTransaction`.
    pub transaction_event: bool,
    /// Actions whose key is made of their content (docs/contract.md 3.3).
    pub keyed_by_content: &'static [&'static str],
    /// Every CALLERROR code, sorted (docs/ocpp.md A15).
    pub error_codes: &'static [&'static str],
    /// The codes whose spelling or use is the version's own.
    pub codes: Codes,
}

/// The CALLERROR codes that versions spell or use differently (docs/contract.md 2.2).
#[derive(Debug)]
pub struct Codes {
    /// A member is missing, or an array has too few or too many items.
    pub occurrence: &'static str,
    /// Broken JSON or a broken envelope.
    pub formation: &'static str,
    /// The message id cannot be read.
    pub unreadable: &'static str,
    /// A message type the version does not know.
    pub message_type: &'static str,
}

const V16: Rules = Rules {
    token: "v16",
    subprotocol: "ocpp1.6",
    call_file: "",
    send_file: None,
    null_payload: true,
    signed: false,
    result_errors: false,
    answers_unknown_type: false,
    unreadable_id: None,
    passes_while_pending: &["BootNotification", "Heartbeat"],
    transaction_event: false,
    keyed_by_content: &["StartTransaction", "StopTransaction", "MeterValues"],
    error_codes: &[
        "FormationViolation",
        "GenericError",
        "InternalError",
        "NotImplemented",
        "NotSupported",
        "OccurenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "SecurityError",
        "TypeConstraintViolation",
    ],
    codes: Codes {
        occurrence: "OccurenceConstraintViolation",
        formation: "FormationViolation",
        unreadable: "FormationViolation",
        message_type: "ProtocolError",
    },
};

const V201: Rules = Rules {
    token: "v201",
    subprotocol: "ocpp2.0.1",
    call_file: "Request",
    send_file: Some(""),
    null_payload: false,
    signed: true,
    result_errors: false,
    answers_unknown_type: true,
    unreadable_id: Some("-1"),
    passes_while_pending: &["BootNotification"],
    transaction_event: true,
    // A signed payload is a JWS (docs/ocpp.md A16): its fields are out of sight, its bytes are not.
    keyed_by_content: &["MeterValues", "MeterValues-Signed", "TransactionEvent-Signed"],
    error_codes: &[
        "FormatViolation",
        "GenericError",
        "InternalError",
        "MessageTypeNotSupported",
        "NotImplemented",
        "NotSupported",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "RpcFrameworkError",
        "SecurityError",
        "TypeConstraintViolation",
    ],
    codes: Codes {
        occurrence: "OccurrenceConstraintViolation",
        formation: "FormatViolation",
        unreadable: "RpcFrameworkError",
        message_type: "MessageTypeNotSupported",
    },
};

const V21: Rules =
    Rules { token: "v21", subprotocol: "ocpp2.1", result_errors: true, answers_unknown_type: false, ..V201 };

impl Version {
    /// The rules of the version.
    #[inline]
    #[must_use]
    pub const fn rules(self) -> &'static Rules {
        match self {
            Self::V16 => &V16,
            Self::V201 => &V201,
            Self::V21 => &V21,
        }
    }

    /// The token used in NATS subjects, metric labels and config.
    #[must_use]
    pub const fn token(self) -> &'static str {
        self.rules().token
    }

    /// The registered websocket subprotocol.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        self.rules().subprotocol
    }

    /// The version of a token.
    ///
    /// # Errors
    /// [`UnknownVersion`], which lists the tokens.
    pub fn of_token(token: &str) -> Result<Self, UnknownVersion> {
        Self::ALL.into_iter().find(|version| version.token() == token).ok_or(UnknownVersion)
    }
}

/// A text that is not the token of any version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion;

impl std::fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tokens = Version::ALL.map(Version::token);
        let (last, others) = tokens.split_last().unwrap_or((&"", &[]));
        write!(f, "unknown version: expected {} or {last}", others.join(", "))
    }
}

impl std::error::Error for UnknownVersion {}
