//! What the text of a database in another encoding than UTF-8 says, for people: in manifests, keys, patterns, messages.
//!
//! Text in the encoding of its database is a string of [`raw_text`], which looks odd unless that encoding is
//! UTF-8. Here it becomes the characters that it stands for. The two are never mixed up where it matters: what goes to
//! a server is the one, what people see and name is the other, and the second always tells texts apart as the first
//! does. Where an encoding is not known here, or a code has no character of its own, the stand-ins of its bytes stay.

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::raw_text;

/// How text of an encoding is read.
#[derive(Clone, Copy)]
enum Reader {
    /// Each byte is the character of its number.
    Latin1,
    /// As the Encoding Standard has it.
    Standard(&'static Encoding),
}

/// The encodings of servers (manual, table "PostgreSQL Character Sets"), but for those that are read as they are
/// (`UTF8`, `SQL_ASCII`), and those that nobody else knows: `EUC_TW`, `EUC_JIS_2004`, `MULE_INTERNAL`.
fn reader(encoding: &str) -> Option<Reader> {
    Some(Reader::Standard(match encoding {
        "LATIN1" => return Some(Reader::Latin1),
        "LATIN2" => encoding_rs::ISO_8859_2,
        "LATIN3" => encoding_rs::ISO_8859_3,
        "LATIN4" => encoding_rs::ISO_8859_4,
        "LATIN6" => encoding_rs::ISO_8859_10,
        "LATIN7" => encoding_rs::ISO_8859_13,
        "LATIN8" => encoding_rs::ISO_8859_14,
        "LATIN9" => encoding_rs::ISO_8859_15,
        "LATIN10" => encoding_rs::ISO_8859_16,
        "ISO_8859_5" => encoding_rs::ISO_8859_5,
        "ISO_8859_6" => encoding_rs::ISO_8859_6,
        "ISO_8859_7" => encoding_rs::ISO_8859_7,
        "ISO_8859_8" => encoding_rs::ISO_8859_8,
        "KOI8R" => encoding_rs::KOI8_R,
        "KOI8U" => encoding_rs::KOI8_U,
        "WIN866" => encoding_rs::IBM866,
        "WIN874" => encoding_rs::WINDOWS_874,
        "WIN1250" => encoding_rs::WINDOWS_1250,
        "WIN1251" => encoding_rs::WINDOWS_1251,
        "WIN1252" => encoding_rs::WINDOWS_1252,
        "WIN1253" => encoding_rs::WINDOWS_1253,
        // They differ in control characters only.
        "LATIN5" | "WIN1254" => encoding_rs::WINDOWS_1254,
        "WIN1255" => encoding_rs::WINDOWS_1255,
        "WIN1256" => encoding_rs::WINDOWS_1256,
        "WIN1257" => encoding_rs::WINDOWS_1257,
        "WIN1258" => encoding_rs::WINDOWS_1258,
        "EUC_JP" => encoding_rs::EUC_JP,
        "EUC_KR" => encoding_rs::EUC_KR,
        "EUC_CN" => encoding_rs::GBK,
        _ => return None,
    }))
}

/// A text of a session with this `client_encoding`, in the characters that it stands for.
pub fn readable<'a>(text: &'a str, encoding: &str) -> Cow<'a, str> {
    if text.is_ascii() || matches!(encoding, "UTF8" | "SQL_ASCII") {
        return Cow::Borrowed(text);
    }
    let bytes = raw_text::encode(text);
    Cow::Owned(
        read(&bytes, encoding).unwrap_or_else(|| bytes.iter().copied().map(raw_text::stand_in).collect()),
    )
}

/// The characters of a text, if they are those of no other one.
fn read(bytes: &[u8], encoding: &str) -> Option<String> {
    match reader(encoding)? {
        Reader::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
        Reader::Standard(encoding) => {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
            let (back, _, unmappable) = encoding.encode(&text);
            (!unmappable && back == bytes).then(|| text.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_characters() {
        for (encoding, bytes, expected) in [
            ("UTF8", "größe".as_bytes(), "größe"),
            ("SQL_ASCII", "größe".as_bytes(), "größe"),
            ("LATIN1", b"gr\xf6\xdfe", "größe"),
            ("LATIN1", "ö".as_bytes(), "Ã¶"),
            ("LATIN9", b"\xa4", "€"),
            ("WIN1252", b"\x80", "€"),
            ("WIN1251", b"\xe4\xe0", "да"),
            ("EUC_JP", b"\xc6\xfc\xcb\xdc", "日本"),
            ("EUC_KR", b"\xc7\xd1", "한"),
            ("EUC_CN", b"\xd6\xd0", "中"),
        ] {
            assert_eq!(readable(&raw_text::decode(bytes), encoding), expected, "{encoding}");
        }
        let unread =
            |bytes, encoding| raw_text::shown(&readable(&raw_text::decode(bytes), encoding)).into_owned();
        assert_eq!(unread(b"a\xc4\xa1", "EUC_TW"), "a\\xc4\\xa1");
        assert_eq!(unread(b"a\xff", "EUC_JP"), "a\\xff");
        assert_eq!(unread(b"a\xff", "UTF8"), "a\\xff");
    }

    #[test]
    fn no_two_texts_read_alike() {
        for encoding in ["LATIN1", "LATIN5", "WIN1252", "WIN1258", "EUC_JP", "EUC_KR", "EUC_CN", "EUC_TW"] {
            let mut seen = std::collections::HashSet::new();
            for one in 0x80..=0xFF {
                assert!(seen.insert(readable(&raw_text::decode(&[one]), encoding).into_owned()));
                for two in 0x80..=0xFF {
                    let text = raw_text::decode(&[one, two]).into_owned();
                    assert!(
                        seen.insert(readable(&text, encoding).into_owned()),
                        "{encoding} {one:x} {two:x}"
                    );
                }
            }
        }
    }
}
