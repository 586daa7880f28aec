//! What the driver sends, on its way to the server.

use std::io;

use bytes::BytesMut;

use super::{length, message};
use crate::raw_text;

/// Bytes to the server.
pub(super) struct ToServer {
    /// How many of the next bytes pass as they are.
    passing: usize,
    /// A message that is to be translated, as far as the driver has sent it.
    partial: Vec<u8>,
    /// Translated bytes, which go first.
    pub(super) translated: BytesMut,
    /// The first message has no tag.
    started: bool,
    startup_encoding: Option<&'static str>,
}

/// What is to be done with the driver's bytes.
pub(super) enum Taken {
    /// So many were taken.
    Translated(usize),
    /// So many go to the server as they are.
    Passes(usize),
}

impl ToServer {
    pub(super) fn new(startup_encoding: Option<&'static str>) -> Self {
        Self {
            passing: 0,
            partial: Vec::new(),
            translated: BytesMut::new(),
            started: false,
            startup_encoding,
        }
    }

    /// Takes bytes of the driver, of which there is at least one unless it is at its end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<Taken> {
        if self.partial.is_empty() && self.passing == 0 {
            self.look(bytes)?;
        }
        if self.passing > 0 || bytes.is_empty() {
            return Ok(Taken::Passes(self.passing.min(bytes.len())));
        }
        let missing = match self.whole(&self.partial)? {
            Some(whole) => whole - self.partial.len(),
            None => self.head_bytes() - self.partial.len(),
        };
        let taken = missing.min(bytes.len());
        self.partial.extend_from_slice(&bytes[..taken]);
        if let Some(whole) = self.whole(&self.partial)? {
            let tag = self.partial[0];
            if self.started && !is_text(tag) {
                self.translated.extend_from_slice(&self.partial);
                self.passing = whole - self.partial.len();
                self.partial.clear();
            } else if whole == self.partial.len() {
                self.translate()?;
                self.partial.clear();
            }
        }
        Ok(Taken::Translated(taken))
    }

    /// So many of the bytes that may pass have been written.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.passing -= bytes;
    }

    /// Finds out how many bytes pass as they are.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        while let Some(rest) = bytes.get(self.passing..).filter(|rest| !rest.is_empty()) {
            match self.whole(rest)? {
                Some(whole) if self.started && !is_text(rest[0]) => self.passing += whole,
                _ => break,
            }
        }
        Ok(())
    }

    fn head_bytes(&self) -> usize {
        if self.started { 5 } else { 4 }
    }

    /// Length of the message that begins here, once its head is there.
    fn whole(&self, message: &[u8]) -> io::Result<Option<usize>> {
        let head = message.get(..self.head_bytes());
        head.map(|head| if self.started { Ok(length(&head[1..])? + 1) } else { length(head) }).transpose()
    }

    fn translate(&mut self) -> io::Result<()> {
        let body = &self.partial[self.head_bytes()..];
        if !self.started {
            let body = startup(body, self.startup_encoding).unwrap_or_else(|| body.to_vec());
            self.started = true;
            return message(None, &body, &mut self.translated);
        }
        let tag = self.partial[0];
        if let Some(body) = encoded(tag, body) {
            return message(Some(tag), &body, &mut self.translated);
        }
        self.translated.extend_from_slice(&self.partial);
        Ok(())
    }
}

/// Whether a message holds SQL: Query and Parse.
fn is_text(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P')
}

/// The body with the bytes of its texts; nothing if these are what they are.
fn encoded(tag: u8, body: &[u8]) -> Option<Vec<u8>> {
    if !raw_text::has_stand_in(body) {
        return None;
    }
    let mut rest = body;
    let mut out = Vec::with_capacity(body.len());
    // Parse has the statement's name before its text, and types behind it.
    for _ in 0..if tag == b'P' { 2 } else { 1 } {
        let end = rest.iter().position(|byte| *byte == 0)?;
        out.extend_from_slice(&raw_text::encode(std::str::from_utf8(&rest[..end]).ok()?));
        out.push(0);
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// The body of a StartupMessage, which is the version of the protocol and pairs of texts, with bytes for texts and
/// the encoding to begin with. Nothing if it has another form.
fn startup(body: &[u8], encoding: Option<&str>) -> Option<Vec<u8>> {
    let (version, pairs) = body.split_at_checked(4)?;
    let pairs = std::str::from_utf8(pairs).ok()?.strip_suffix('\0')?;
    let mut out = version.to_vec();
    let mut texts = pairs.split_terminator('\0');
    while let Some(name) = texts.next() {
        let value = texts.next()?;
        let value = encoding.filter(|_| name == "client_encoding").unwrap_or(value);
        for text in [name, value] {
            out.extend_from_slice(&raw_text::encode(text));
            out.push(0);
        }
    }
    out.push(0);
    Some(out)
}
