//! The command line.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::payload::Payload;

pub const USAGE: &str = "\
voltgate-load --url HOST:PORT [options]
  --path-prefix PATH     before the identity (/bench)
  --identities-from N    number of the first identity, BENCH000000 (0)
  --connections N        chargers (100)
  --source-addresses K   spread them over 127.0.0.1 to 127.0.0.K (1)
  --window N             upgrades open at once (64)
  --persist              dial again, a second later, where an upgrade fails
  --subprotocol NAME     (that of the payload)
  --deflate              offer permessage-deflate
  --password TEXT        log in with it, every charger under its identity
  --tls-ca FILE          TLS; the server is localhost, and its certificate is of this authority
  --tls-version VERSION  1.2 or 1.3, and no other (1.3)
  --tls-resume           `again` resumes the TLS sessions
  --mode MODE            pingpong: the next CALL when the last one is answered; open: --rate CALLs a second
                         over all chargers, however slow the answers; idle: answer pings (pingpong)
  --payload NAME         heartbeat, status, meter (1.6) or transaction (2.0.1) (meter)
  --seconds S            length of a run (5)
  --messages M           end a pingpong run after M CALLs instead
  --rate R               (1000)
  --unchecked            do not check the answers (for the floor, which does not read ids)";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    PingPong,
    Open,
    Idle,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pingpong" => Ok(Mode::PingPong),
            "open" => Ok(Mode::Open),
            "idle" => Ok(Mode::Idle),
            _ => Err("pingpong, open or idle"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

impl FromStr for TlsVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.2" => Ok(TlsVersion::V12),
            "1.3" => Ok(TlsVersion::V13),
            _ => Err("1.2 or 1.3"),
        }
    }
}

#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct Arguments {
    pub url: String,
    pub path_prefix: String,
    pub identities_from: usize,
    pub connections: usize,
    pub source_addresses: u8,
    pub window: usize,
    pub persist: bool,
    pub subprotocol: Option<String>,
    pub deflate: bool,
    pub password: Option<String>,
    pub tls_ca: Option<PathBuf>,
    pub tls_version: TlsVersion,
    pub tls_resume: bool,
    pub mode: Mode,
    pub payload: Payload,
    pub seconds: f64,
    pub messages: Option<u64>,
    pub rate: f64,
    pub unchecked: bool,
}

impl Arguments {
    /// From the words of the command line; a fault is one line.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Arguments {
            url: String::new(),
            path_prefix: "/bench".into(),
            identities_from: 0,
            connections: 100,
            source_addresses: 1,
            window: 64,
            persist: false,
            subprotocol: None,
            deflate: false,
            password: None,
            tls_ca: None,
            tls_version: TlsVersion::V13,
            tls_resume: false,
            mode: Mode::PingPong,
            payload: Payload::Meter,
            seconds: 5.0,
            messages: None,
            rate: 1000.0,
            unchecked: false,
        };
        while let Some(word) = words.next() {
            let name = word.as_str();
            match name {
                "--url" => parsed.url = value(name, words.next())?,
                "--path-prefix" => parsed.path_prefix = value(name, words.next())?,
                "--identities-from" => parsed.identities_from = value(name, words.next())?,
                "--connections" => parsed.connections = value(name, words.next())?,
                "--source-addresses" => parsed.source_addresses = value(name, words.next())?,
                "--window" => parsed.window = value(name, words.next())?,
                "--persist" => parsed.persist = true,
                "--subprotocol" => parsed.subprotocol = Some(value(name, words.next())?),
                "--deflate" => parsed.deflate = true,
                "--password" => parsed.password = Some(value(name, words.next())?),
                "--tls-ca" => parsed.tls_ca = Some(value(name, words.next())?),
                "--tls-version" => parsed.tls_version = value(name, words.next())?,
                "--tls-resume" => parsed.tls_resume = true,
                "--mode" => parsed.mode = value(name, words.next())?,
                "--payload" => parsed.payload = value(name, words.next())?,
                "--seconds" => parsed.seconds = value(name, words.next())?,
                "--messages" => parsed.messages = Some(value(name, words.next())?),
                "--rate" => parsed.rate = value(name, words.next())?,
                "--unchecked" => parsed.unchecked = true,
                _ => return Err(format!("{name}: no such option")),
            }
        }
        if parsed.url.is_empty() {
            return Err("--url is missing".into());
        }
        if parsed.source_addresses == 0 || parsed.window == 0 || parsed.rate <= 0.0 {
            return Err("--source-addresses, --window and --rate: more than 0".into());
        }
        Ok(parsed)
    }
}

fn value<T: FromStr<Err: Display>>(name: &str, word: Option<String>) -> Result<T, String> {
    let word = word.ok_or_else(|| format!("{name}: its value is missing"))?;
    word.parse().map_err(|fault| format!("{name} {word}: {fault}"))
}
