//! A lean HTTP/1.1 client: one keep-alive connection, requests built before.
//!
//! The load generator shares two cores with the server, so it does as little as it can: one write, one read, and a
//! look at status, length and `Location`. It speaks only what the targets answer with (a length or chunks).

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer read, head and body; a searchset of one status is far below.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Chunked,
    Exact(usize),
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    bytes: usize,
    status: u16,
    location: Option<String>,
    length: Length,
}

impl Connection {
    /// Connects, without Nagle's delay.
    ///
    /// # Errors
    /// When the target does not accept.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(8 << 10) })
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP; the connection is then of no further use.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await.context("sending a request")?;
        loop {
            if let Some((answer, bytes)) = parse_answer(&self.buffer)? {
                self.buffer.advance(bytes);
                return Ok(answer);
            }
            ensure!(self.buffer.len() < ANSWER_BYTES_MAX, "the answer is too long");
            let read = self.stream.read_buf(&mut self.buffer).await.context("reading an answer")?;
            ensure!(read > 0, "the target closed the connection before its answer was whole");
        }
    }

    /// GETs a path.
    ///
    /// # Errors
    /// As [`Connection::exchange`], and when the status is not 200.
    pub async fn get(&mut self, host: &str, path: &str) -> anyhow::Result<Vec<u8>> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/fhir+json\r\n\r\n");
        let answer = self.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 200, "GET {path}: {}", answer.describe());
        Ok(answer.body)
    }
}

impl Answer {
    /// Status and the beginning of the body, for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, body.chars().take(600).collect::<String>())
    }

    /// The id of the created resource: the path segment of `Location` after its type.
    #[must_use]
    pub fn created_id(&self, resource_type: &str) -> Option<&str> {
        id_in(self.location.as_deref()?, resource_type)
    }
}

/// The id in a literal reference or URL that holds `Type/id`.
#[must_use]
pub fn id_in<'a>(reference: &'a str, resource_type: &str) -> Option<&'a str> {
    let mut segments = reference.split('/');
    segments.find(|segment| *segment == resource_type)?;
    segments.next().filter(|id| !id.is_empty())
}

/// The answer at the start of the buffer and its length, or nothing while it is not whole.
fn parse_answer(buffer: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(head) = parse_head(buffer)? else { return Ok(None) };
    let rest = &buffer[head.bytes..];
    let body = match head.length {
        Length::Exact(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        Length::Chunked => parse_chunks(rest)?,
    };
    Ok(body.map(|(body, length)| {
        let answer = Answer { status: head.status, location: head.location, body };
        (answer, head.bytes + length)
    }))
}

fn parse_head(buffer: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&buffer[..end]).context("the head is not text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?;
    let status = status.parse().context("no status code")?;
    let (mut location, mut length) = (None, Length::Exact(0));
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { bail!("no header: {line}") };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Length::Exact(value.parse().context("no length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            ensure!(value.eq_ignore_ascii_case("chunked"), "transfer encoding {value}");
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("location") {
            location = Some(value.to_owned());
        }
    }
    Ok(Some(Head { bytes: end + 4, status, location, length }))
}

/// The joined chunks and the bytes they took, or nothing while the last one is missing.
fn parse_chunks(buffer: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = buffer[at..].windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&buffer[at..at + line]).context("no chunk size")?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("no chunk size")?;
        ensure!(size <= ANSWER_BYTES_MAX, "the chunk is too long");
        let start = at + line + 2;
        let Some(chunk) = buffer.get(start..start + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests;
