//! The schemas of the installed package `ocpp`, compiled; this repository has no copy.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use voltgate_core::codec::Codec;
use voltgate_core::version::Version;

/// Where the package `ocpp` is, by the Python of the active or the repository's own environment.
static SCHEMAS: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let pythons =
        [active, Some(root.join(".venv"))].into_iter().flatten().map(|home| home.join("bin/python"));
    let find = "import importlib.util as u; print(u.find_spec('ocpp').submodule_search_locations[0])";
    for python in pythons.chain([PathBuf::from("python3")]) {
        if let Ok(found) = Command::new(python).args(["-c", find]).output()
            && found.status.success()
        {
            return PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
        }
    }
    panic!("no Python here has the package ocpp: activate an environment that has it, or run `make test`");
});

/// The codec of a version.
pub fn compile(version: Version) -> Codec {
    let folder = SCHEMAS.join(version.token()).join("schemas");
    let files = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
        Some((name, std::fs::read(&path).unwrap()))
    });
    let files: Vec<_> = files.collect();
    Codec::new(version, files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap()
}
