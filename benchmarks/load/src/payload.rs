//! Ready frames: a thousand variants of a CALL, masked in advance. Sending one copies it and writes a number
//! into its id and, where the message is stored by content, into its readings: no two are the same.

use std::fmt::Write;
use std::str::FromStr;

const VARIANTS: usize = 1024;
const DIGITS: usize = 8;
/// Placeholder for the message number in a variant; the first one of a frame is in its id.
const HOLE: &str = "00000000";

#[derive(Clone, Copy)]
pub enum Payload {
    Heartbeat,
    Status,
    Meter,
    Transaction,
}

impl FromStr for Payload {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "heartbeat" => Ok(Payload::Heartbeat),
            "status" => Ok(Payload::Status),
            "meter" => Ok(Payload::Meter),
            "transaction" => Ok(Payload::Transaction),
            _ => Err("heartbeat, status, meter or transaction"),
        }
    }
}

impl Payload {
    pub fn subprotocol(self) -> &'static str {
        match self {
            Payload::Transaction => "ocpp2.0.1",
            _ => "ocpp1.6",
        }
    }

    /// Action and payload, with `HOLE` for the number of the message.
    fn compose(self, dice: &mut Dice) -> (&'static str, String) {
        let time = dice.time();
        match self {
            Payload::Heartbeat => ("Heartbeat", "{}".into()),
            Payload::Status => {
                let error = dice.one_of(&["NoError", "NoError", "NoError", "GroundFailure", "OverVoltage"]);
                let status = dice.one_of(&["Available", "Preparing", "Charging", "SuspendedEV", "Finishing"]);
                let connector = dice.below(5);
                (
                    "StatusNotification",
                    format!(
                        r#"{{"connectorId":{connector},"errorCode":"{error}","status":"{status}","timestamp":"{time}"}}"#
                    ),
                )
            }
            Payload::Meter => {
                let (connector, transaction) = (1 + dice.below(4), 1 + dice.below(99_999_999));
                let (ampere, volt) = (dice.tenths(0, 32), dice.tenths(220, 20));
                let (line, neutral) =
                    (dice.one_of(&["L1", "L2", "L3"]), dice.one_of(&["L1-N", "L2-N", "L3-N"]));
                (
                    "MeterValues",
                    format!(
                        concat!(
                            r#"{{"connectorId":{},"transactionId":{},"meterValue":[{{"timestamp":"{}","sampledValue":["#,
                            r#"{{"value":"{}","context":"Sample.Periodic","format":"Raw","#,
                            r#""measurand":"Energy.Active.Import.Register","location":"Outlet","unit":"Wh"}},"#,
                            r#"{{"value":"{}","context":"Sample.Periodic","measurand":"Current.Import","phase":"{}","unit":"A"}},"#,
                            r#"{{"value":"{}","measurand":"Voltage","phase":"{}","unit":"V"}}]}}]}}"#
                        ),
                        connector, transaction, time, HOLE, ampere, line, volt, neutral
                    ),
                )
            }
            Payload::Transaction => {
                let reason = dice.one_of(&["MeterValuePeriodic", "ChargingStateChanged", "MeterValueClock"]);
                let (transaction, evse, watt) = (dice.uuid_head(), 1 + dice.below(4), dice.tenths(0, 22_000));
                // seqNo and the register hold the number with a digit before it: JSON has no leading zeros.
                (
                    "TransactionEvent",
                    format!(
                        concat!(
                            r#"{{"eventType":"Updated","timestamp":"{}","triggerReason":"{}","seqNo":1{},"#,
                            r#""transactionInfo":{{"transactionId":"{}4d{:010x}","chargingState":"Charging"}},"#,
                            r#""evse":{{"id":{},"connectorId":1}},"meterValue":[{{"timestamp":"{}","sampledValue":["#,
                            r#"{{"value":1{}.0,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unitOfMeasure":{{"unit":"Wh"}}}},"#,
                            r#"{{"value":{},"context":"Sample.Periodic","measurand":"Power.Active.Import","unitOfMeasure":{{"unit":"W"}}}}]}}]}}"#
                        ),
                        time,
                        reason,
                        HOLE,
                        transaction,
                        dice.below(1 << 40) | 1,
                        evse,
                        time,
                        HOLE,
                        watt
                    ),
                )
            }
        }
    }
}

/// The frames of a run.
pub struct Frames(Vec<Variant>);

struct Variant {
    frame: Vec<u8>,
    mask: [u8; 4],
    header: usize,
    /// Positions of the number in the unmasked text.
    holes: Vec<usize>,
    /// Start of the answer, up to the number in the id.
    answer: Vec<u8>,
}

impl Frames {
    /// `seed` makes the ids of two runs different.
    pub fn new(payload: Payload, seed: u64) -> Self {
        let mut dice = Dice(seed);
        Frames((0..VARIANTS).map(|_| Variant::new(payload, &mut dice)).collect())
    }

    /// Appends message `number`.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let variant = self.variant(number);
        let start = out.len() + variant.header;
        out.extend_from_slice(&variant.frame);
        let digits = digits(number);
        for &hole in &variant.holes {
            for (index, digit) in (hole..).zip(digits) {
                out[start + index] = digit ^ variant.mask[index % 4];
            }
        }
    }

    /// Whether `text` is the CALLRESULT of message `number`.
    pub fn answers(&self, text: &[u8], number: u64) -> bool {
        text.strip_prefix(self.variant(number).answer.as_slice())
            .and_then(|rest| rest.strip_prefix(&digits(number)))
            .is_some_and(|rest| rest.starts_with(b"\",") && rest.ends_with(b"]"))
    }

    #[allow(clippy::cast_possible_truncation)] // below VARIANTS
    fn variant(&self, number: u64) -> &Variant {
        &self.0[(number % VARIANTS as u64) as usize]
    }
}

impl Variant {
    fn new(payload: Payload, dice: &mut Dice) -> Self {
        let id = format!("{}{:04x}", dice.uuid_head(), dice.below(1 << 16) | 1); // no 0 before the hole
        let (action, body) = payload.compose(dice);
        let text = format!(r#"[2,"{id}{HOLE}","{action}",{body}]"#);
        let holes = text.match_indices(HOLE).map(|(at, _)| at).collect();
        #[allow(clippy::cast_possible_truncation)] // four bytes of eight
        let mask = (dice.next() as u32 | 1).to_be_bytes();
        let mut frame = header(text.len(), mask);
        let header = frame.len();
        frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        Variant { frame, mask, header, holes, answer: format!(r#"[3,"{id}"#).into_bytes() }
    }
}

/// The header of a whole, masked text frame (RFC 6455 5.2).
fn header(length: usize, mask: [u8; 4]) -> Vec<u8> {
    let mut header = vec![0x81];
    if let Ok(short @ ..126) = u8::try_from(length) {
        header.push(0x80 | short);
    } else {
        header.push(0xfe); // masked, and two bytes of length follow
        header.extend(u16::try_from(length).expect("no payload of ours is longer").to_be_bytes());
    }
    header.extend(mask);
    header
}

fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut text = [b'0'; DIGITS];
    for digit in text.iter_mut().rev() {
        *digit += u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
    text
}

/// splitmix64, the random source of the payloads.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    #[allow(clippy::cast_possible_truncation)] // below the length
    fn one_of(&mut self, choice: &[&'static str]) -> &'static str {
        choice[self.below(choice.len() as u64) as usize]
    }

    fn tenths(&mut self, from: u64, span: u64) -> String {
        let tenths = from * 10 + self.below(span * 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// A version 4 UUID without its last twelve digits.
    fn uuid_head(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!("{:08x}-{:04x}-4{:03x}-9{:03x}-", a >> 32, (a >> 16) & 0xffff, a & 0xfff, b & 0xfff)
    }

    /// A time in March 2026, with and without milliseconds.
    fn time(&mut self) -> String {
        let (day, hour) = (1 + self.below(31), self.below(24));
        let (minute, second) = (self.below(60), self.below(60));
        let mut text = format!("2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if self.below(2) == 0 {
            let _ = write!(text, ".{:03}", self.below(1000)); // a String takes everything
        }
        text + "Z"
    }
}
