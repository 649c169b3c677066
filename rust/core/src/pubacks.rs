//! What acknowledges publishes, taken out of the bytes of a connection to NATS, wherever they were cut.
//!
//! Taken is a message whose body is a positive `PubAck` in its plainest form, at a reply subject of our making,
//! of our subscription, without a reply subject and without headers. Everything else goes on to nats-py as it
//! came and in order: nothing is refused here. Lines are followed only as nats-server writes them; at the first
//! other one the rest of the connection goes on as it is, because only nats-py knows how it reads that.

use crate::inbox::Inbox;

/// Bytes of a line that is waited for: an INFO names every server of a cluster.
const LONGEST_LINE: usize = 64 * 1024;
/// Bytes of a body that is waited for; a `PubAck` has about a hundred.
const LONGEST_BODY: usize = 512;
const CRLF: &[u8] = b"\r\n";
/// Digits of a number in a line; no more than an `u64` holds.
const DIGITS: usize = 18;

/// A message of the inbox that says that `counter`'s message is stored. Whether by the right stream is for
/// the caller to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PubAck<'a> {
    /// Of the reply subject.
    pub counter: u64,
    /// As it came; printable ASCII.
    pub stream: &'a str,
    /// Of `JetStream`; `""` where none is named.
    pub domain: &'a str,
    /// Above 0.
    pub seq: u64,
    /// Whether the message was stored before.
    pub duplicate: bool,
    /// All of it.
    pub body: &'a [u8],
}

/// What the bytes at the front are.
enum Front<'a> {
    /// A `PubAck`, and its size with its line.
    Ack(PubAck<'a>, usize),
    /// So many bytes for nats-py, and so many more, of the message that they begin.
    Raw(usize, usize),
    /// Not enough of them to tell.
    Short,
    /// Not a line of nats-server: how the rest is to be read is unknown.
    Strange,
}

/// One connection's stream, from the end of the login on.
#[derive(Debug)]
pub struct PubAcks {
    inbox: Inbox,
    /// Of the inbox's subscription.
    id: u64,
    held: Vec<u8>,
    /// How much of `held` is handed on.
    done: usize,
    /// Bytes of an open message that go on unread.
    skip: usize,
    /// Whether something is behind what the last call handed on.
    more: bool,
    /// A line was strange.
    over: bool,
}

impl PubAcks {
    /// Takes the `PubAcks` of `inbox`, whose subscription is `id`.
    #[must_use]
    pub const fn new(inbox: Inbox, id: u64) -> Self {
        Self { inbox, id, held: Vec::new(), done: 0, skip: 0, more: false, over: false }
    }

    /// A new connection: what is held of the last one is dropped.
    pub fn begin(&mut self) {
        self.held.clear();
        (self.done, self.skip, self.more, self.over) = (0, 0, false, false);
    }

    /// Whether another call with no bytes hands on more.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Holds `data`, passes the `PubAcks` at the front to `take`, and returns the bytes for nats-py between them and
    /// the next `PubAck`. Only a line, or a message that may be a `PubAck`, is held until it is whole.
    pub fn feed(&mut self, data: &[u8], mut take: impl FnMut(PubAck<'_>)) -> &[u8] {
        if !data.is_empty() {
            self.held.drain(..self.done);
            self.done = 0;
            self.held.extend_from_slice(data);
        }
        let (mut at, mut start) = (self.done, self.done);
        self.more = false;
        while at < self.held.len() {
            let left = &self.held[at..];
            if self.over {
                at = self.held.len();
            } else if self.skip > 0 {
                let size = self.skip.min(left.len());
                self.skip -= size;
                at += size;
            } else {
                match front(left, &self.inbox, self.id) {
                    Front::Ack(ack, size) if start == at => {
                        take(ack);
                        at += size;
                        start = at;
                    }
                    Front::Ack(..) => {
                        self.more = true;
                        break;
                    }
                    Front::Raw(size, skip) => {
                        at += size;
                        self.skip = skip;
                    }
                    Front::Short if left.len() < LONGEST_LINE => break,
                    Front::Short | Front::Strange => self.over = true,
                }
            }
        }
        self.done = at;
        &self.held[start..at]
    }
}

fn front<'a>(bytes: &'a [u8], inbox: &Inbox, id: u64) -> Front<'a> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Front::Short };
    let (line, rest) = bytes.split_at(end + 1);
    let Some(text) = line.strip_suffix(CRLF) else { return Front::Strange };
    if matches!(text, b"PING" | b"PONG" | b"+OK") {
        return Front::Raw(line.len(), 0);
    }
    if text.contains(&b'\r') {
        return Front::Strange;
    }
    if text.starts_with(b"INFO {") || (text.starts_with(b"-ERR '") && text.len() > 7 && text.ends_with(b"'"))
    {
        return Front::Raw(line.len(), 0);
    }
    match Message::of(text) {
        // What nats-py takes for the sizes, where a header block begins with digits, depends on how it was cut.
        Some(Message { headers: true, reply: false, .. })
            if rest.first().is_some_and(|byte| byte.is_ascii_digit() || is_space(*byte)) =>
        {
            Front::Strange
        }
        Some(message) => {
            let whole = message.size + CRLF.len();
            let ours = message.id == id && !message.headers && !message.reply && message.size <= LONGEST_BODY;
            let Some(counter) = ours.then(|| inbox.counter(message.subject)).flatten() else {
                return Front::Raw(line.len(), whole);
            };
            let Some((body, end)) = rest.get(..whole).map(|rest| rest.split_at(message.size)) else {
                return Front::Short;
            };
            match pub_ack(counter, body).filter(|_| end == CRLF) {
                Some(ack) => Front::Ack(ack, line.len() + whole),
                None => Front::Raw(line.len() + whole, 0),
            }
        }
        None => Front::Strange,
    }
}

/// What nats-py splits a line by.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

/// The line in front of a message: `[H]MSG <subject> <id> [<reply> ][<size of the headers> ]<size>`.
struct Message<'a> {
    subject: &'a [u8],
    id: u64,
    reply: bool,
    headers: bool,
    size: usize,
}

impl<'a> Message<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let mut fields = text.split(|byte| *byte == b' ');
        let headers = match fields.next()? {
            b"MSG" => false,
            b"HMSG" => true,
            _ => return None,
        };
        let (subject, id) = (fields.next()?, number(fields.next()?)?);
        let mut rest = [&b""[..]; 3];
        let mut count = 0;
        for field in fields {
            *rest.get_mut(count)? = field;
            count += 1;
        }
        let sizes = 1 + usize::from(headers);
        let reply = count.checked_sub(sizes)?;
        for field in &rest[reply..count] {
            number(field)?;
        }
        let size = usize::try_from(number(rest[count - 1])?).ok()?;
        let plain = |field: &[u8]| !field.is_empty() && !field.iter().copied().any(is_space);
        (reply < 2 && plain(subject) && rest[..reply].iter().all(|field| plain(field))).then_some(Self {
            subject,
            id,
            reply: reply == 1,
            headers,
            size,
        })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// A flat object of `stream`, `seq` and perhaps `domain` and `duplicate`, each once and without escapes.
fn pub_ack(counter: u64, body: &[u8]) -> Option<PubAck<'_>> {
    let (mut stream, mut domain, mut seq, mut duplicate) = (None, None, None, None);
    let mut rest = token(body, b"{")?;
    loop {
        let (name, value) = string(rest)?;
        let value = token(value, b":")?;
        rest = match name {
            "stream" => text(value, &mut stream)?,
            "domain" => text(value, &mut domain)?,
            "seq" if seq.is_none() => {
                let value = token(value, b"")?;
                let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
                seq = Some(number(&value[..end]).filter(|_| value[0] != b'0')?);
                &value[end..]
            }
            "duplicate" if duplicate.is_none() => {
                let yes = token(value, b"true");
                duplicate = Some(yes.is_some());
                yes.or_else(|| token(value, b"false"))?
            }
            _ => return None,
        };
        if let Some(end) = token(rest, b"}") {
            let (domain, duplicate) = (domain.unwrap_or_default(), duplicate.unwrap_or_default());
            let ack = PubAck { counter, stream: stream?, domain, seq: seq?, duplicate, body };
            return end.iter().all(|byte| is_blank(*byte)).then_some(ack);
        }
        rest = token(rest, b",")?;
    }
}

/// The white space of JSON.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What is behind `token`.
fn token<'a>(bytes: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    let start = bytes.iter().position(|byte| !is_blank(*byte))?;
    bytes[start..].strip_prefix(token)
}

/// A string, and what is behind it.
fn string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let bytes = token(bytes, b"\"")?;
    let end = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
    let (text, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(text).ok()?, rest.strip_prefix(b"\"")?))
}

/// Sets `to`, once.
fn text<'a>(bytes: &'a [u8], to: &mut Option<&'a str>) -> Option<&'a [u8]> {
    let (value, rest) = string(bytes)?;
    to.replace(value).is_none().then_some(rest)
}
