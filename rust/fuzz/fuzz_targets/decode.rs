//! Random bytes as a frame and as a payload, through every version's codec.
//!
//! Run: `VOLTGATE_OCPP=$(python -c 'import ocpp; print(ocpp.__path__[0])') cargo +nightly fuzz run decode`
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use voltgate_core::actions::Sender;
use voltgate_core::codec::{Codec, Kind};
use voltgate_core::version::Version;

static CODECS: LazyLock<[Codec; 3]> = LazyLock::new(|| Version::ALL.map(compile));

fn compile(version: Version) -> Codec {
    let package = std::env::var("VOLTGATE_OCPP").expect("VOLTGATE_OCPP is the folder of the package ocpp");
    let folder = std::fs::read_dir(format!("{package}/{}/schemas", version.token())).expect("schemas");
    let files: Vec<(String, Vec<u8>)> = folder
        .map(|entry| entry.expect("a schema").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("a readable schema"))
        })
        .collect();
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    Codec::new(version, files).expect("schemas that compile")
}

fuzz_target!(|bytes: &[u8]| {
    for codec in CODECS.iter() {
        for sender in [Sender::Charger, Sender::Csms] {
            let decoded = codec.decode(bytes, sender);
            assert!(decoded.payload.end <= bytes.len());
            assert!(decoded.fatal.is_none() || decoded.violation.is_some());
            let _ = (
                decoded.message_id(bytes),
                decoded.action(bytes),
                decoded.code(bytes),
                decoded.payload(bytes),
            );
        }
        let _ = codec.check("DataTransfer", Kind::Request, bytes);
    }
});
