//! One charger's websocket: the upgrade and the server's frames. The conversation is in `swarm`.

use std::io::{self, ErrorKind::WouldBlock, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use rustls::{ClientConnection, HandshakeKind};
use socket2::{Domain, Socket as Raw, Type};

/// Where a socket is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Connecting,
    Upgrading,
    Open,
    Gone,
}

/// What reading a socket can bring.
pub enum Event<'a> {
    Upgraded,
    /// A whole text message.
    Text(&'a [u8]),
    /// An unexpected frame, cut for the report.
    Odd(&'a [u8]),
}

pub struct Socket {
    pub stream: TcpStream,
    pub state: State,
    request: Vec<u8>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// Starts to dial; `source` is where from.
    pub fn dial(
        server: SocketAddr,
        source: Option<Ipv4Addr>,
        request: Vec<u8>,
        tls: Option<Box<ClientConnection>>,
    ) -> io::Result<Self> {
        let raw = Raw::new(Domain::for_address(server), Type::STREAM, None)?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        // Ends with a reset: thousands of ports in TIME_WAIT would be missing in the next run.
        raw.set_linger(Some(std::time::Duration::ZERO))?;
        if let Some(source) = source {
            raw.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match raw.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from_std(raw.into());
        Ok(Socket { stream, state: State::Connecting, request, inbox: Vec::new(), outbox: Vec::new(), tls })
    }

    /// The socket is writable: sends the upgrade request, or the rest of pending frames.
    pub fn writable(&mut self) -> io::Result<()> {
        if self.state == State::Connecting {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            if self.stream.peer_addr().is_err() {
                return Ok(()); // not yet
            }
            self.state = State::Upgrading;
            let request = std::mem::take(&mut self.request);
            return self.send(&request); // TLS keeps it until its handshake is complete
        }
        if self.tls.is_some() {
            return self.flush();
        }
        if !self.outbox.is_empty() {
            let rest = std::mem::take(&mut self.outbox);
            self.send(&rest)?;
        }
        Ok(())
    }

    /// Sends as much as the kernel accepts and keeps the rest.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(frame)?;
            return self.flush();
        }
        let mut taken = 0;
        while self.outbox.is_empty() && taken < frame.len() {
            match self.stream.write(&frame[taken..]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.outbox.extend_from_slice(&frame[taken..]);
        Ok(())
    }

    /// Sends what TLS has to send, as much as the kernel accepts.
    fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the TLS session continues an earlier one.
    pub fn resumed(&self) -> bool {
        self.tls.as_ref().and_then(|tls| tls.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    /// What the charger's records hold.
    fn opened(&mut self, mut records: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(tls) = &mut self.tls else { return Ok(bytes) };
        while !records.is_empty() {
            tls.read_tls(&mut records)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            match tls.reader().read_to_end(&mut bytes) {
                Err(error) if error.kind() != WouldBlock => return Err(error),
                _ => {}
            }
        }
        self.flush()?;
        Ok(bytes)
    }

    /// Reads all available bytes and passes the events to `on_event`. An error ends the socket.
    pub fn readable(&mut self, scratch: &mut [u8], mut on_event: impl FnMut(Event)) -> io::Result<()> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::other("the server hung up")),
                Ok(count) => count,
                Err(error) if error.kind() == WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let opened;
            let read = if self.tls.is_some() {
                opened = self.opened(&scratch[..count])?;
                opened.as_slice()
            } else {
                &scratch[..count]
            };
            if self.inbox.is_empty() {
                // The usual case: whole frames, and nothing to keep.
                let used = self.take(read, &mut on_event)?;
                self.inbox.extend_from_slice(&read[used..]);
            } else {
                let mut bytes = std::mem::take(&mut self.inbox);
                bytes.extend_from_slice(read);
                let used = self.take(&bytes, &mut on_event)?;
                bytes.drain(..used);
                self.inbox = bytes;
            }
            if count < scratch.len() {
                return Ok(()); // a short read has emptied the socket (epoll(7), edge-triggered)
            }
        }
    }

    fn take(&mut self, bytes: &[u8], on_event: &mut impl FnMut(Event)) -> io::Result<usize> {
        let mut used = 0;
        if self.state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                let line = String::from_utf8_lossy(&bytes[..end]).lines().next().unwrap_or("").to_owned();
                return Err(io::Error::other(line));
            }
            self.state = State::Open;
            used = end + 4;
            on_event(Event::Upgraded);
        }
        while let Some((opcode, start, end)) = frame(&bytes[used..]) {
            let payload = &bytes[used + start..used + end];
            match opcode {
                0x81 => on_event(Event::Text(payload)),
                0x89 => self.pong(payload)?,
                0x88 => return Err(io::Error::other(closed(payload))),
                _ => on_event(Event::Odd(&bytes[used..used + end])),
            }
            used += end;
        }
        Ok(used)
    }

    /// A server may ping at any time (RFC 6455 5.5.3); a mask of zeros is a mask.
    fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u8::try_from(payload.len()).unwrap_or(125);
        let mut frame = vec![0x8a, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.send(&frame)
    }
}

const EINPROGRESS: i32 = 115;

/// The first byte of the frame at the start of `bytes`, and where its payload starts and ends.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&opcode, &length) = (bytes.first()?, bytes.get(1)?);
    let (start, length): (usize, usize) = match length {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some((opcode, start, end))
}

fn closed(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("closed with {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "closed without a code".into(),
    }
}
