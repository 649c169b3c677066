//! Which payloads hold a secret, and how they look without it (docs/contract.md 3.5).
//!
//! A charger decides how long a text is and what is in it, so every search here takes linear time.

use std::sync::LazyLock;

use regex::Regex;
use regex::bytes;
use serde_json::{Map, Value};

/// What a fact shows in place of a secret.
pub const MASK: &str = "***";

/// Names of configuration keys, variables and properties; case-insensitive in OCPP. Write-only ones are secret.
macro_rules! names {
    () => {
        "authorization_?key|password|passphrase|vpn_?key|sim_?pin|private_?key"
    };
}

static SECRET: LazyLock<Regex> = LazyLock::new(|| pattern(concat!("(?i)", names!())));
static LOGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z][A-Za-z0-9+.-]*://\S*@"));
static ODD: LazyLock<bytes::Regex> =
    LazyLock::new(|| scan(concat!(r#"(?i-u)[a-z0-9+.-]:(?:\\?/){2}\S*@|"vpn"|"#, names!())));
/// Bytes without any of these have no secret, and are not parsed: a name, the @ of a login, an escape.
static SUSPICIOUS: LazyLock<bytes::Regex> =
    LazyLock::new(|| scan(concat!(r#"(?i-u)@|\\u|"vpn"|"#, names!())));

/// Properties whose value is a URL.
const URLS: [&str; 3] = ["location", "ocppCsmsUrl", "remoteLocation"];
/// Of an entry that is about a secret, these say which one it is; chargers may quote it anywhere else.
const NO_SECRETS: [&str; 9] = [
    "attributeStatus",
    "attributeType",
    "component",
    "dataType",
    "key",
    "mutability",
    "status",
    "type",
    "variable",
];

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("a constant")
}

fn scan(source: &str) -> bytes::Regex {
    bytes::Regex::new(source).expect("a constant")
}

/// Whether the name of a secret or a login is in `body`, of whatever form it is.
#[must_use]
pub fn may_hold_secrets(body: &[u8]) -> bool {
    ODD.is_match(body)
}

/// The payload without its secrets; `None` if it has none.
///
/// `quoted`: it answers a command that holds a secret, which may be in any of its texts.
#[must_use]
pub fn masked(body: &[u8], quoted: bool) -> Option<Vec<u8>> {
    if !quoted && !SUSPICIOUS.is_match(body) {
        return None;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return (quoted || may_hold_secrets(body)).then(|| MASK.into());
    };
    let mut mask = Masking { changed: false };
    mask.value(&mut value, "", quoted);
    mask.changed.then(|| value.to_string().into_bytes())
}

struct Masking {
    changed: bool,
}

impl Masking {
    /// `value` of the property `name`; `secret`: it belongs to an entry about a secret.
    fn value(&mut self, value: &mut Value, name: &str, secret: bool) {
        match value {
            Value::Object(entry) => {
                let secret = secret || is_about_secret(entry);
                let vpn = name == "vpn"; // its "key" is the shared secret, elsewhere a key's name
                for (key, one) in entry.iter_mut() {
                    let inner = (secret && !NO_SECRETS.contains(&key.as_str())) || (vpn && key == "key");
                    self.value(one, key, inner);
                }
            }
            Value::Array(entries) => entries.iter_mut().for_each(|one| self.value(one, name, secret)),
            Value::Null | Value::Bool(_) => {}
            _ if secret || SECRET.is_match(name) => self.put(value, MASK.into()),
            Value::String(text) => {
                if (URLS.contains(&name) || LOGIN.is_match(text))
                    && let Some(shown) = without_login(text)
                {
                    self.put(value, shown);
                }
            }
            Value::Number(_) => {}
        }
    }

    fn put(&mut self, value: &mut Value, shown: String) {
        let shown = Value::String(shown);
        self.changed = self.changed || *value != shown;
        *value = shown;
    }
}

fn is_about_secret(entry: &Map<String, Value>) -> bool {
    let named = match entry.get("variable") {
        Some(Value::Object(variable)) => variable.get("name"),
        _ => entry.get("key"),
    };
    named.and_then(Value::as_str).is_some_and(|name| SECRET.is_match(name))
}

/// By hand: a URL parser sees no password in a URL without a scheme, or with a slash in the password.
fn without_login(url: &str) -> Option<String> {
    let (secret, host) = url.rsplit_once('@')?;
    let scheme = secret.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    Some(format!("{scheme}{MASK}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::{masked, may_hold_secrets};

    fn shown(body: &str, quoted: bool) -> Option<String> {
        masked(body.as_bytes(), quoted).map(|shown| String::from_utf8(shown).unwrap())
    }

    #[test]
    fn what_has_no_secret_stays_as_it_is() {
        for body in [r#"{"status":"Accepted"}"#, r#"{"mail":"a@b"}"#, r#"{"text":"\u0041"}"#, "{broken"] {
            assert_eq!(shown(body, false), None);
        }
    }

    #[test]
    fn secrets_are_masked_where_they_stand() {
        for (body, expected) in [
            (r#"{"key":"AuthorizationKey","value":"x1"}"#, r#"{"key":"AuthorizationKey","value":"***"}"#),
            (r#"{"apnPassword":1.5}"#, r#"{"apnPassword":"***"}"#),
            (r#"{"vpn":{"key":"k","type":"IKEv2"}}"#, r#"{"vpn":{"key":"***","type":"IKEv2"}}"#),
            (r#"{"location":"user:pw@host/x"}"#, r#"{"location":"***@host/x"}"#),
            (r#"{"text":"see ftp://u:p@h"}"#, r#"{"text":"see ftp://***@h"}"#),
            (
                r#"{"component":{"name":"S"},"variable":{"name":"BasicAuthPassword"},"attributeValue":"x1"}"#,
                r#"{"component":{"name":"S"},"variable":{"name":"BasicAuthPassword"},"attributeValue":"***"}"#,
            ),
        ] {
            assert_eq!(shown(body, false).as_deref(), Some(expected));
        }
        assert_eq!(shown(r#"{"n":1234567.125,"s":"x1"}"#, true).as_deref(), Some(r#"{"n":"***","s":"***"}"#));
        assert_eq!(shown("{broken password", false).as_deref(), Some("***"));
    }

    #[test]
    fn numbers_beside_a_secret_keep_their_value() {
        let body = r#"{"password":"x","n":0.1,"m":1234567.125,"k":9007199254740993}"#;
        let expected = r#"{"password":"***","n":0.1,"m":1234567.125,"k":9007199254740993}"#;
        assert_eq!(shown(body, false).as_deref(), Some(expected));
    }

    /// Backtracking would take minutes for each of these.
    #[test]
    fn no_text_takes_longer_than_its_length() {
        let size = 500_000;
        for text in
            ["a".repeat(size), "a:// ".repeat(size / 5), "a://".repeat(size / 4), "9+.-".repeat(size / 4)]
        {
            let body = format!(r#"{{"location@":"{text}"}}"#);
            assert_eq!(shown(&body, false), None);
            assert!(!may_hold_secrets(text.as_bytes()));
        }
    }
}
