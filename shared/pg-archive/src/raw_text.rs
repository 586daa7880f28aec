//! Text of a server as a Rust string, whatever bytes it is made of.
//!
//! Names, definitions and comments come in the encoding of their database, which need not be UTF-8, and a `SQL_ASCII`
//! database checks no bytes at all. Inside this program all of them are strings: what is valid UTF-8 is itself, and
//! each other byte is a stand-in, the private character U+10FF00 + byte. A character that is itself one of the
//! stand-ins comes as the stand-ins of its own four bytes. So every sequence of bytes has exactly one string, and
//! [`encode`] gives the bytes back. ASCII is never touched, so quoting and parsing are as they would be on the bytes:
//! no encoding of a server uses ASCII bytes within other characters (manual, chapter "Character Set Support").

use std::borrow::Cow;

/// The stand-in for byte 0, which none needs: only bytes from 0x80 on are ever not UTF-8.
const STAND_IN: u32 = 0x0010_FF00;

/// The string for these bytes.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !has_stand_in(bytes)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    let mut utf8 = [0; 4];
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match byte_of(char) {
                None => text.push(char),
                Some(_) => text.extend(char.encode_utf8(&mut utf8).bytes().map(stand_in)),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    Cow::Owned(text)
}

/// The bytes of a string that [`decode`] made, or of any other: its UTF-8 then.
pub fn encode(text: &str) -> Cow<'_, [u8]> {
    if !has_stand_in(text.as_bytes()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut utf8 = [0; 4];
    for char in text.chars() {
        match byte_of(char) {
            None => bytes.extend_from_slice(char.encode_utf8(&mut utf8).as_bytes()),
            Some(byte) => bytes.push(byte),
        }
    }
    Cow::Owned(bytes)
}

/// The string as people read it: `\x9d` for the stand-in of a byte.
pub fn shown(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    if !has_stand_in(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match byte_of(char) {
            None => shown.push(char),
            Some(byte) => {
                let _ = write!(shown, "\\x{byte:02x}");
            }
        }
    }
    Cow::Owned(shown)
}

/// Whether bytes are a string already, without any stand-in.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() || (std::str::from_utf8(bytes).is_ok() && !has_stand_in(bytes))
}

/// Whether UTF-8 holds a stand-in, U+10FF80 to U+10FFFF: F4 8F BE 80 to F4 8F BF BF.
pub(crate) fn has_stand_in(utf8: &[u8]) -> bool {
    utf8.contains(&0xF4)
        && utf8.windows(3).any(|bytes| bytes[0] == 0xF4 && bytes[1] == 0x8F && bytes[2] >= 0xBE)
}

/// The stand-in for a byte. ASCII needs none, and gets none.
pub(crate) fn stand_in(byte: u8) -> char {
    let number = if byte.is_ascii() { byte.into() } else { STAND_IN + u32::from(byte) };
    char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands in for.
pub(crate) fn byte_of(char: char) -> Option<u8> {
    let offset = u32::from(char).checked_sub(STAND_IN)?;
    u8::try_from(offset).ok().filter(|byte| !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(bytes: &[u8]) -> String {
        let text = decode(bytes);
        assert_eq!(encode(&text), bytes, "{bytes:x?}");
        assert_eq!(is_plain(bytes), text.as_bytes() == bytes, "{bytes:x?}");
        text.into_owned()
    }

    #[test]
    fn every_sequence_of_bytes_comes_back_and_has_a_string_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for byte in 0..=255 {
            seen.insert(comes_back(&[byte]));
            for next in 0..=255 {
                seen.insert(comes_back(&[byte, next]));
            }
        }
        assert_eq!(seen.len(), 256 + 256 * 256);
        // What begins like UTF-8 and does not go on so, and pieces of stand-ins.
        let pieces: &[&[u8]] = &[
            b"a",
            b"\xf4",
            b"\xf4\x8f",
            b"\xf4\x8f\xbe",
            b"\xf4\x8f\xbe\x80",
            b"\xbf\xbf",
            b"\xe3\x81",
            "あ".as_bytes(),
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    comes_back(&[*one, *two, *three].concat());
                }
            }
        }
    }

    #[test]
    fn what_is_utf8_is_itself() {
        for text in ["", "orders", "naïve", "日本", "\u{10FF7F}", "\u{10FF00}"] {
            assert!(matches!(decode(text.as_bytes()), Cow::Borrowed(same) if same == text));
            assert!(matches!(encode(text), Cow::Borrowed(same) if same == text.as_bytes()));
        }
    }

    #[test]
    fn people_see_the_bytes() {
        assert_eq!(shown(&decode(b"caf\xe9 \x9d")), "caf\\xe9 \\x9d");
        assert_eq!(shown("café"), "café");
        assert_eq!(shown(&decode("\u{10FF80}".as_bytes())), "\\xf4\\x8f\\xbe\\x80");
    }
}
