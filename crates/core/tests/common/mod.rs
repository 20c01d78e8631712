//! The real traces and their reference results, where they are at hand.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;

/// The folder of the traces: `SARK_CACHE_TRACES`, or `shared/traces` beside the checkout. `None`, with a line
/// on standard error that says so, where it is absent.
pub(crate) fn traces() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces");
    let folder = std::env::var_os("SARK_CACHE_TRACES").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if folder.join("reference.csv").exists() {
        return Some(folder);
    }
    eprintln!("skipped: there are no traces at {}", folder.display());
    None
}

/// The varints of a gzipped file.
pub(crate) fn numbers(path: &std::path::Path) -> Vec<u64> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let mut all = Vec::new();
    let (mut number, mut shift) = (0_u64, 0);
    for byte in bytes {
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            all.push(number);
            (number, shift) = (0, 0);
        }
    }
    all
}

/// The ids behind zigzag-coded differences.
pub(crate) fn undelta(deltas: impl Iterator<Item = u64>) -> Vec<u32> {
    let mut id = 0_i64;
    deltas
        .map(|z| {
            id += (z >> 1).cast_signed() ^ -(z & 1).cast_signed();
            u32::try_from(id).unwrap()
        })
        .collect()
}

/// The rows of a table, without its head.
pub(crate) fn rows(path: &std::path::Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}
