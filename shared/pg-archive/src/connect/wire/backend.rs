//! What the server sends, on its way to the driver.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;

use super::{CopyTag, length, message};
use crate::raw_text;

/// Tag and length.
const HEAD_BYTES: usize = 5;

/// Bytes from the server.
pub(super) struct FromServer {
    /// As they came.
    pub(super) incoming: BytesMut,
    /// How many of these pass as they are, and perhaps some that have not come yet.
    passing: usize,
    /// Translated ones, which go first.
    translated: BytesMut,
    /// CopyDone has come, and not yet how the COPY ended.
    copy_done_held: bool,
    copy_tag: CopyTag,
}

impl FromServer {
    pub(super) fn new(copy_tag: CopyTag) -> Self {
        Self {
            incoming: BytesMut::new(),
            passing: 0,
            translated: BytesMut::new(),
            copy_done_held: false,
            copy_tag,
        }
    }

    /// Gives the driver what there is for it. False if there is nothing before more has come.
    pub(super) fn give(&mut self, to: &mut ReadBuf<'_>) -> io::Result<bool> {
        if to.remaining() == 0 {
            return Ok(true);
        }
        loop {
            if !self.translated.is_empty() {
                let given = self.translated.len().min(to.remaining());
                to.put_slice(&self.translated[..given]);
                self.translated.advance(given);
                return Ok(true);
            }
            if self.passing == 0 {
                self.look()?;
            }
            let given = self.passing.min(self.incoming.len()).min(to.remaining());
            if given > 0 {
                to.put_slice(&self.incoming[..given]);
                self.incoming.advance(given);
                self.passing -= given;
                return Ok(true);
            }
            if self.passing > 0 || !self.translate()? {
                return Ok(false);
            }
        }
    }

    /// Finds out how many of the next bytes pass as they are.
    fn look(&mut self) -> io::Result<()> {
        while let Some(head) = self.incoming.get(self.passing..self.passing + HEAD_BYTES) {
            let whole = length(&head[1..])? + 1;
            let passes = match head[0] {
                // CopyData, and what holds neither text nor the end of a COPY.
                b'd' => true,
                tag if is_looked_at(tag) => {
                    let frame = self.incoming.get(self.passing..self.passing + whole);
                    !self.copy_done_held && frame.is_some_and(|frame| is_plain(tag, &frame[HEAD_BYTES..]))
                }
                _ => !self.copy_done_held,
            };
            if !passes {
                break;
            }
            self.passing += whole;
        }
        Ok(())
    }

    /// Translates the next message. False if it has not come whole.
    fn translate(&mut self) -> io::Result<bool> {
        let Some(head) = self.incoming.get(..HEAD_BYTES) else { return Ok(false) };
        let (tag, whole) = (head[0], length(&head[1..])? + 1);
        if self.incoming.len() < whole {
            return Ok(false);
        }
        let frame = self.incoming.split_to(whole);
        let body = &frame[HEAD_BYTES..];
        match tag {
            b'H' => self.copy_tag.set(None),
            b'c' => {
                self.copy_done_held = true;
                return Ok(true);
            }
            // The driver gets the error in place of the end.
            b'E' => self.copy_done_held = false,
            // They come at any time.
            b'N' | b'S' | b'A' => {}
            _ if self.copy_done_held => {
                self.copy_done_held = false;
                if tag == b'C' {
                    let tag = body.strip_suffix(b"\0").unwrap_or(body);
                    self.copy_tag.set(Some(raw_text::decode(tag).into_owned()));
                }
                message(Some(b'c'), &[], &mut self.translated)?;
            }
            _ => {}
        }
        match parts(tag, body).filter(|_| !body.is_ascii()) {
            Some(parts) => message(Some(tag), &decoded(&parts)?, &mut self.translated)?,
            None => self.translated.extend_from_slice(&frame),
        }
        Ok(true)
    }
}

/// Whether a message may need to be translated, or says something of a COPY.
fn is_looked_at(tag: u8) -> bool {
    // CopyOutResponse and CopyDone; texts: DataRow, RowDescription, ErrorResponse, NoticeResponse,
    // ParameterStatus, NotificationResponse.
    b"HcDTENSA".contains(&tag)
}

/// Whether the texts of a message are strings as they are.
fn is_plain(tag: u8, body: &[u8]) -> bool {
    if matches!(tag, b'H' | b'c') {
        return false;
    }
    // What has another form than it should is left to the driver to refuse.
    body.is_ascii() || parts(tag, body).is_none_or(|parts| parts.iter().all(Part::is_plain))
}

/// A part of a message's body.
enum Part<'a> {
    /// No text.
    Bytes(&'a [u8]),
    /// A text behind its length in four bytes.
    Counted(&'a [u8]),
    /// A text that a zero byte ends.
    Terminated(&'a [u8]),
}

impl Part<'_> {
    fn is_plain(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Counted(text) | Self::Terminated(text) => raw_text::is_plain(text),
        }
    }
}

/// Takes a body apart; nothing if it has no text, or not the form that it should have.
fn parts(tag: u8, body: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut rest = body;
    let mut parts = Vec::new();
    match tag {
        b'D' => {
            let count = take(&mut rest, 2)?;
            parts.push(Part::Bytes(count));
            for _ in 0..u16::from_be_bytes([count[0], count[1]]) {
                let length = take(&mut rest, 4)?;
                match i32::from_be_bytes([length[0], length[1], length[2], length[3]]) {
                    -1 => parts.push(Part::Bytes(length)),
                    length => parts.push(Part::Counted(take(&mut rest, usize::try_from(length).ok()?)?)),
                }
            }
        }
        b'T' => {
            let count = take(&mut rest, 2)?;
            parts.push(Part::Bytes(count));
            for _ in 0..u16::from_be_bytes([count[0], count[1]]) {
                parts.push(Part::Terminated(take_terminated(&mut rest)?));
                // The column's table, number, type, size, modifier and format.
                parts.push(Part::Bytes(take(&mut rest, 18)?));
            }
        }
        b'E' | b'N' => {
            while rest.first().is_some_and(|kind| *kind != 0) {
                parts.push(Part::Bytes(take(&mut rest, 1)?));
                parts.push(Part::Terminated(take_terminated(&mut rest)?));
            }
            parts.push(Part::Bytes(take(&mut rest, 1)?));
        }
        b'S' | b'A' => {
            if tag == b'A' {
                parts.push(Part::Bytes(take(&mut rest, 4)?));
            }
            parts.push(Part::Terminated(take_terminated(&mut rest)?));
            parts.push(Part::Terminated(take_terminated(&mut rest)?));
        }
        _ => return None,
    }
    rest.is_empty().then_some(parts)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A text up to its zero byte, which is taken too.
fn take_terminated<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let taken = take(rest, end + 1)?;
    Some(&taken[..end])
}

/// The body with its texts as strings.
fn decoded(parts: &[Part<'_>]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => body.extend_from_slice(bytes),
            Part::Counted(text) => {
                let text = raw_text::decode(text);
                let length = i32::try_from(text.len()).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "a value is longer than 2 GiB")
                })?;
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(text.as_bytes());
            }
            Part::Terminated(text) => {
                body.extend_from_slice(raw_text::decode(text).as_bytes());
                body.push(0);
            }
        }
    }
    Ok(body)
}
