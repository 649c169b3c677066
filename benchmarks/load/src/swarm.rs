//! The chargers of a run and the loop that turns them: a charger has one CALL open (docs/ocpp.md A8).

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::figures::Figures;
use crate::payload::Frames;
use crate::secure::Security;
use crate::socket::{Event, Socket, State};

const STDIN: Token = Token(usize::MAX);
/// For the upgrades, and for the last answers of a run.
const TIMEOUT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(1);

struct Charger {
    socket: Socket,
    /// The open CALL: its number and its start.
    open: Option<(u64, Instant)>,
    /// The planned times of waiting CALLs.
    due: VecDeque<Instant>,
}

pub struct Swarm<'a> {
    arguments: &'a Arguments,
    server: SocketAddr,
    security: Option<Security>,
    poll: Poll,
    /// Shared with the reader of stdin: dropping the last one would lose its last wake.
    waker: Arc<Waker>,
    events: Events,
    chargers: Vec<Charger>,
    frames: Frames,
    scratch: Vec<u8>,
    frame: Vec<u8>,
    number: u64,
    /// Whether an answer is followed immediately by the next CALL.
    again: bool,
    limit: u64,
    upgraded: usize,
    gone: usize,
    /// Chargers that dial again, and when; in order.
    later: VecDeque<(Instant, usize)>,
    attempts: usize,
    first_gone: Option<String>,
    figures: Figures,
}

impl<'a> Swarm<'a> {
    pub fn new(arguments: &'a Arguments) -> io::Result<Self> {
        let server = arguments.url.to_socket_addrs()?.next();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation)] // the changing half
        let seed = now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32);
        let poll = Poll::new()?;
        Ok(Swarm {
            waker: Arc::new(Waker::new(poll.registry(), STDIN)?),
            poll,
            arguments,
            security: Security::new(arguments)?,
            server: server.ok_or_else(|| io::Error::other("--url names no address"))?,
            events: Events::with_capacity(4096),
            chargers: Vec::with_capacity(arguments.connections),
            frames: Frames::new(arguments.payload, seed),
            scratch: vec![0; 65536],
            frame: Vec::with_capacity(1024),
            number: 0,
            again: false,
            limit: u64::MAX,
            upgraded: 0,
            gone: 0,
            later: VecDeque::new(),
            attempts: 0,
            first_gone: None,
            figures: Figures::default(),
        })
    }

    /// Lines of stdin, each of which ends a `turn`.
    pub fn listen(&self) -> Receiver<String> {
        let waker = Arc::clone(&self.waker);
        let (send, receive) = channel();
        std::thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if send.send(line).is_err() || waker.wake().is_err() {
                    return;
                }
            }
            drop(send);
            let _ = waker.wake(); // fails if the loop has ended
        });
        receive
    }

    /// Dials with at most `window` open upgrades until every charger is connected or refused.
    pub fn connect(&mut self) -> io::Result<Value> {
        let began = Instant::now();
        while self.upgraded + self.gone < self.arguments.connections && began.elapsed() < TIMEOUT {
            while self.chargers.len() < self.arguments.connections
                && self.chargers.len() - self.upgraded - self.gone < self.arguments.window
            {
                self.dial(self.chargers.len())?;
            }
            while let Some(&(at, index)) = self.later.front()
                && at <= Instant::now()
            {
                self.later.pop_front();
                self.dial(index)?;
            }
            self.turn(Some(Duration::from_millis(100)))?;
        }
        Ok(json!({
            "connected": self.upgraded,
            "refused": self.arguments.connections - self.upgraded,
            "first_refused": self.first_gone,
            "attempts": self.attempts,
            "resumed": self.chargers.iter().filter(|charger| charger.socket.resumed()).count(),
            "seconds": began.elapsed().as_secs_f64(),
        }))
    }

    fn dial(&mut self, index: usize) -> io::Result<()> {
        self.attempts += 1;
        let arguments = self.arguments;
        let identity = arguments.identities_from + index;
        let deflate = if arguments.deflate {
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        } else {
            ""
        };
        let login = arguments.password.as_ref().map_or_else(String::new, |password| {
            let token = base64(format!("BENCH{identity:06}:{password}").as_bytes());
            format!("Authorization: Basic {token}\r\n")
        });
        let request = format!(
            "GET {}/BENCH{identity:06} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dm9sdGdhdGUtYmVuY2htYQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {}\r\n{deflate}{login}\r\n",
            arguments.path_prefix,
            arguments.url,
            arguments.subprotocol.as_deref().unwrap_or(arguments.payload.subprotocol()),
        );
        let spread = usize::from(arguments.source_addresses);
        let last = u8::try_from(1 + index % spread).unwrap_or(1);
        let source = (spread > 1).then_some(Ipv4Addr::new(127, 0, 0, last));
        let session = self.security.as_mut().map(|security| security.session(index)).transpose()?;
        let mut socket = Socket::dial(self.server, source, request.into_bytes(), session)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket.stream, Token(index), interest)?;
        let charger = Charger { socket, open: None, due: VecDeque::new() };
        match self.chargers.get_mut(index) {
            Some(earlier) => *earlier = charger,
            None => self.chargers.push(charger),
        }
        Ok(())
    }

    /// Every charger sends its next CALL when the last one is answered.
    pub fn ping_pong(&mut self, seconds: Duration, messages: Option<u64>) -> io::Result<Value> {
        self.figures = Figures::default();
        self.again = true;
        self.limit = messages.unwrap_or(u64::MAX);
        let began = Instant::now();
        for index in 0..self.chargers.len() {
            self.call(index, Instant::now());
        }
        while self.figures.sent < self.limit && (messages.is_some() || began.elapsed() < seconds) {
            if self.upgraded == 0 || began.elapsed() > TIMEOUT.max(seconds) {
                break;
            }
            self.turn(Some(TICK * 10))?;
        }
        self.again = false;
        self.finish(began)
    }

    /// `rate` CALLs a second by plan; a CALL waits while its charger is busy, and the wait counts.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn open_loop(&mut self, seconds: Duration, rate: f64) -> io::Result<Value> {
        self.figures = Figures::default();
        self.limit = u64::MAX;
        let began = Instant::now();
        let mut planned = 0;
        loop {
            let elapsed = began.elapsed().min(seconds);
            let wanted = (elapsed.as_secs_f64() * rate) as usize;
            let now = Instant::now();
            for step in planned..wanted {
                let index = step % self.chargers.len().max(1);
                if self.chargers.get(index).is_some_and(|charger| charger.open.is_some()) {
                    self.chargers[index].due.push_back(now);
                } else {
                    self.call(index, now);
                }
            }
            planned = wanted;
            if elapsed == seconds || self.upgraded == 0 {
                break;
            }
            self.turn(Some(TICK))?;
        }
        self.finish(began)
    }

    /// Only pings are answered.
    pub fn idle(&mut self, seconds: Duration) -> io::Result<Value> {
        self.figures = Figures::default();
        let began = Instant::now();
        while let Some(left) = seconds.checked_sub(began.elapsed()) {
            self.turn(Some(left))?;
        }
        self.finish(began)
    }

    /// Waits for the answers that are still open.
    fn finish(&mut self, began: Instant) -> io::Result<Value> {
        let deadline = Instant::now() + TIMEOUT;
        while self.chargers.iter().any(|charger| charger.open.is_some()) && Instant::now() < deadline {
            self.turn(Some(TICK * 10))?;
        }
        Ok(self.figures.report(self.upgraded, began.elapsed()))
    }

    fn call(&mut self, index: usize, since: Instant) {
        let charger = &mut self.chargers[index];
        if charger.socket.state != State::Open || self.figures.sent >= self.limit {
            return;
        }
        self.frame.clear();
        self.frames.write(self.number, &mut self.frame);
        charger.open = Some((self.number, since));
        self.number += 1;
        self.figures.sent += 1;
        if let Err(error) = charger.socket.send(&self.frame) {
            self.end(index, &error);
        }
    }

    /// Handles events for up to `timeout`, or until a line arrives.
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        for event in &events {
            let index = event.token().0;
            let Some(charger) = self.chargers.get_mut(index) else { continue }; // stdin
            if charger.socket.state == State::Gone {
                continue;
            }
            let mut outcome = Ok(());
            if event.is_writable() {
                outcome = charger.socket.writable();
            }
            if event.is_readable() && outcome.is_ok() {
                outcome = self.receive(index);
            }
            if let Err(error) = outcome {
                self.end(index, &error);
            }
        }
        self.events = events;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Swarm { chargers, scratch, frames, figures, upgraded, arguments, again, .. } = self;
        let Charger { socket, open, due } = &mut chargers[index];
        let mut next = None;
        let result = socket.readable(scratch, |event| match (event, *open) {
            (Event::Upgraded, _) => *upgraded += 1,
            (Event::Odd(bytes), None) => figures.wrong(bytes),
            (Event::Text(text), Some((number, since)))
                if arguments.unchecked || frames.answers(text, number) =>
            {
                let now = Instant::now();
                figures.answered(now - since);
                *open = None;
                next = due.pop_front().or_else(|| again.then_some(now));
            }
            (Event::Odd(_), Some((_, since))) if arguments.unchecked => {
                figures.answered(since.elapsed()); // compressed
                *open = None;
            }
            // A bad answer also ends the CALL, or its charger would stop sending.
            (Event::Text(bytes) | Event::Odd(bytes), _) => {
                figures.wrong(bytes);
                *open = None;
                next = due.pop_front().or_else(|| again.then(Instant::now));
            }
        });
        if let Some(since) = next
            && result.is_ok()
        {
            self.call(index, since);
        }
        result
    }

    fn end(&mut self, index: usize, error: &io::Error) {
        let charger = &mut self.chargers[index];
        let opened = charger.socket.state == State::Open;
        if opened {
            self.upgraded -= 1;
            self.figures.closed += 1;
        }
        charger.open = None;
        charger.due.clear();
        charger.socket.state = State::Gone;
        let _ = self.poll.registry().deregister(&mut charger.socket.stream); // it may be deregistered already
        let _ = charger.socket.stream.shutdown(std::net::Shutdown::Both);
        if self.arguments.persist && !opened {
            self.later.push_back((Instant::now() + AGAIN, index));
        } else {
            self.gone += 1;
        }
        self.first_gone.get_or_insert_with(|| error.to_string());
    }

    /// Resets every connection.
    pub fn hang_up(&mut self) {
        self.chargers.clear();
        (self.upgraded, self.gone, self.attempts) = (0, 0, 0);
        self.later.clear();
    }
}

/// RFC 4648 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * at) & 63]);
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    text
}
