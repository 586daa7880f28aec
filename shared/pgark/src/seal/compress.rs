//! The codecs of objects: zstd (RFC 8878), gzip (RFC 1952), or none.
//!
//! zstd 1 is the default by measurement: the size of gzip 6 for a seventh of its CPU time. gzip is for people who
//! hand the files to `pg_restore` 15 and older, which reads no zstd.
//! Each object is exactly one frame or member; the reading side takes anything after it for damage.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A codec with its level. Text form: `zstd:1`, `gzip:6`, `none`; without a level the default is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Stored as it is.
    None,
    /// gzip, levels 1 to 9.
    Gzip(u32),
    /// zstd, levels 1 to 19.
    Zstd(i32),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl Compression {
    /// What the codec adds to a file name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
        }
    }

    /// The codec which a file name tells of; the level, which reading does not need, is the default.
    pub fn of_file_name(name: &str) -> Self {
        let name = name.strip_suffix(".age").unwrap_or(name);
        match name.rsplit_once('.') {
            Some((_, "zst")) => Self::default(),
            Some((_, "gz")) => Self::Gzip(6),
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (codec, level) = text.split_once(':').map_or((text, None), |(codec, level)| (codec, Some(level)));
        let level = level.map(str::parse::<u32>).transpose().map_err(|_| "the level is not a number")?;
        match (codec, level) {
            ("none", None) => Ok(Self::None),
            ("none", Some(_)) => Err("no compression takes no level"),
            ("gzip", level) => match level.unwrap_or(6) {
                level @ 1..=9 => Ok(Self::Gzip(level)),
                _ => Err("gzip has levels 1 to 9"),
            },
            ("zstd", None) => Ok(Self::default()),
            ("zstd", Some(level)) => match i32::try_from(level) {
                Ok(level @ 1..=19) => Ok(Self::Zstd(level)),
                _ => Err("zstd has levels 1 to 19"),
            },
            _ => Err("no such codec"),
        }
    }
}

impl Serialize for Compression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The writing side.
pub(super) enum Compressor<W: Write> {
    None(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    pub(super) fn new(compression: Compression, inner: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(inner),
            Compression::Gzip(level) => {
                Self::Gzip(flate2::write::GzEncoder::new(inner, flate2::Compression::new(level)))
            }
            Compression::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(inner, level)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Ends the frame or member and hands the inner writer back.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(inner) => inner.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(inner) => inner.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// The reading side: ends after one frame or member, and leaves what follows to [`Decompressor::into_inner`].
pub(super) enum Decompressor<R: BufRead> {
    None(R),
    Gzip(Box<flate2::bufread::GzDecoder<R>>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
}

impl<R: BufRead> Decompressor<R> {
    pub(super) fn new(compression: Compression, inner: R) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(inner),
            Compression::Gzip(_) => Self::Gzip(Box::new(flate2::bufread::GzDecoder::new(inner))),
            Compression::Zstd(_) => {
                Self::Zstd(zstd::stream::read::Decoder::with_buffer(inner)?.single_frame())
            }
        })
    }

    pub(super) fn into_inner(self) -> R {
        match self {
            Self::None(inner) => inner,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(inner) => inner.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_goes_both_ways() {
        for (text, codec) in [
            ("zstd", Compression::Zstd(1)),
            ("zstd:19", Compression::Zstd(19)),
            ("gzip", Compression::Gzip(6)),
            ("gzip:1", Compression::Gzip(1)),
            ("none", Compression::None),
        ] {
            assert_eq!(text.parse(), Ok(codec));
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        for wrong in ["", "lz4", "zstd:", "zstd:0", "zstd:20", "gzip:10", "gzip:-1", "none:1", "zstd:1:2"] {
            assert!(wrong.parse::<Compression>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn file_names_tell_the_codec() {
        for (name, codec) in [
            ("toc.dat.age", Compression::None),
            ("a.dat.zst.age", Compression::Zstd(1)),
            ("a.dat.gz", Compression::Gzip(6)),
        ] {
            assert_eq!(Compression::of_file_name(name), codec, "{name}");
        }
    }
}
