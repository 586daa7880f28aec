//! Looks whether a file on this machine, compressed but not encrypted, holds what a manifest says of an object.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::compress::Decompressor;
use super::hash::Meter;
use super::{Compression, Sealed};

const PIECE_BYTES: usize = 128 * 1024;

/// Whether the content of a file has the length and the hash of an object's, and nothing follows it. A file that cannot
/// be read has not. Blocks.
pub fn has_content(path: &Path, compression: Compression, sealed: &Sealed) -> bool {
    let read = || -> std::io::Result<bool> {
        let mut codec = Decompressor::new(compression, BufReader::new(File::open(path)?))?;
        let mut meter = Meter::default();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = codec.read(&mut piece)?;
            if length == 0 {
                break;
            }
            meter.update(&piece[..length]);
            if meter.bytes() > sealed.plain_bytes {
                return Ok(false);
            }
        }
        let nothing_follows = codec.into_inner().fill_buf()?.is_empty();
        Ok(nothing_follows && meter.finish() == (sealed.plain_bytes, sealed.plain_sha256))
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::super::{Encryption, Sealer, Sha256};
    use super::*;

    #[test]
    fn only_the_whole_content_and_nothing_more_will_do() {
        let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let sealed = Sealed {
            stored_bytes: 0,
            stored_sha256: Sha256::of(b""),
            plain_bytes: content.len() as u64,
            plain_sha256: Sha256::of(&content),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for codec in ["gzip", "zstd", "none"] {
            let codec: Compression = codec.parse().unwrap();
            let mut writer = Sealer::new(codec, &Encryption::None).unwrap();
            let mut whole = Vec::new();
            writer.write(&content, &mut whole).unwrap();
            writer.finish(&mut whole).unwrap();
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            let followed = [&whole[..], b"x"].concat();
            let holds = |bytes: &[u8]| {
                std::fs::write(&file, bytes).unwrap();
                has_content(&file, codec, &sealed)
            };
            assert!(holds(&whole), "{codec}");
            for (damage, bytes) in [
                ("cut", &whole[..whole.len() - 1]),
                ("empty", &[]),
                ("flipped", &flipped),
                ("longer", &followed),
            ] {
                assert!(!holds(bytes), "{codec}: {damage}");
            }
        }
        assert!(!has_content(&folder.path().join("nothing"), Compression::None, &sealed));
    }
}
