//! What the targets share. `make fuzz` runs them (CONTRIBUTING.md); one alone:
//! `OCPP_PACKAGE=$(python -c 'import ocpp; print(ocpp.__path__[0])') cargo fuzz run --sanitizer none slice`

use std::fs;

use voltgate_core::codec::Codec;
use voltgate_core::version::Version;

/// The codec of a version, from the schemas in the folder that `OCPP_PACKAGE` names.
///
/// # Panics
/// Where there are none, or one does not compile.
#[must_use]
pub fn codec(version: Version) -> Codec {
    let package = std::env::var("OCPP_PACKAGE").expect("OCPP_PACKAGE is the folder of the package ocpp");
    let folder = fs::read_dir(format!("{package}/{}/schemas", version.token())).expect("schemas");
    let files: Vec<(String, Vec<u8>)> = folder
        .map(|entry| entry.expect("a schema").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable schema"))
        })
        .collect();
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    Codec::new(version, files).expect("schemas that compile")
}

/// The payload of a text frame of ours.
///
/// # Panics
/// Where its header is not that of one whole unmasked text frame in its shortest form (RFC 6455 5.2).
#[must_use]
pub fn unframed(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0], 0x81);
    let (size, payload) = match frame[1] {
        126 => (u64::from(u16::from_be_bytes([frame[2], frame[3]])), &frame[4..]),
        127 => (u64::from_be_bytes(frame[2..10].try_into().expect("eight bytes")), &frame[10..]),
        short => (u64::from(short), &frame[2..]),
    };
    assert_eq!(size, payload.len() as u64);
    let shortest = match size {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    };
    assert_eq!(frame.len() - payload.len(), shortest);
    payload
}
