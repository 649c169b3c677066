//! The two formats that the schemas use, and checks of a number's decimal text.

use std::net::Ipv6Addr;

/// RFC 3339 date-time with a zone. `t` and `z` may be lower case (§5.6); second 60 is valid only as a
/// leap second, at 23:59 UTC (§5.7).
pub(crate) fn date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((date, rest)) = bytes.split_first_chunk::<19>() else { return false };
    let pair = |at: usize| two([date[at], date[at + 1]]);
    let shape = date[4] == b'-'
        && date[7] == b'-'
        && matches!(date[10], b'T' | b't')
        && date[13] == b':'
        && date[16] == b':';
    let (Some(century), Some(year), Some(month), Some(day)) = (pair(0), pair(2), pair(5), pair(8)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (pair(11), pair(14), pair(17)) else { return false };
    let date_exists = day >= 1 && day <= month_days(century * 100 + year, month);
    if !shape || !date_exists || hour > 23 || minute > 59 || second > 60 {
        return false;
    }
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => rest,
    };
    let Some(offset) = zone(rest) else { return false };
    second < 60 || (hour * 60 + minute - offset).rem_euclid(1440) == 1439
}

/// Minutes east of UTC.
fn zone(text: &[u8]) -> Option<i32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two([h1, h2])?, two([m1, m2])?);
            let east = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == b'+' { east } else { -east })
        }
        _ => None,
    }
}

#[inline]
fn two(digits: [u8; 2]) -> Option<i32> {
    let [tens, ones] = digits.map(|digit| digit.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i32::from(tens * 10 + ones))
}

fn month_days(year: i32, month: i32) -> i32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// RFC 3986 `URI`: a scheme is required; a relative reference is not a URI.
pub(crate) fn uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    let named = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    named
        && self::authority(authority)
        && legal(path, b":@/")
        && legal(query, b":@/?")
        && legal(fragment, b":@/?")
}

fn authority(text: &str) -> bool {
    let (user, place) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match place.strip_prefix('[') {
        Some(literal) => {
            let Some((address, port)) = literal.split_once(']') else { return false };
            if !ip_literal(address) || !(port.is_empty() || port.starts_with(':')) {
                return false;
            }
            ("", port.trim_start_matches(':'))
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    legal(user, b":") && legal(host, b"") && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn ip_literal(address: &str) -> bool {
    let Some(future) = address.strip_prefix(['v', 'V']) else { return address.parse::<Ipv6Addr>().is_ok() };
    let Some((version, rest)) = future.split_once('.') else { return false };
    !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !rest.is_empty()
        && !rest.contains('%')
        && legal(rest, b":")
}

/// Unreserved characters, sub-delims, percent triplets, and the characters that `more` allows.
fn legal(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => {
                [bytes.next(), bytes.next()].iter().all(|hex| hex.is_some_and(|hex| hex.is_ascii_hexdigit()))
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte) || more.contains(&byte),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// A number's value as `digits * 10^exponent`, without zeros at either end of `digits`.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

fn decimal(text: &str) -> Decimal {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    // A number has at most 64 bytes and is finite, so an overflow here means a tiny fraction or zero.
    let exponent: i64 = exponent.parse().unwrap_or(-1_000_000_000);
    let dropped = i64::try_from(all.len() - digits.len()).unwrap_or(0);
    let exponent = exponent - i64::try_from(fraction.len()).unwrap_or(0) + dropped;
    Decimal { negative, digits: digits.trim_start_matches('0').to_owned(), exponent }
}

/// Whether the decimal text has at most `places` decimals: `multipleOf 0.1` without binary rounding.
pub(crate) fn at_most_decimals(text: &str, places: u32) -> bool {
    let value = decimal(text);
    value.digits.is_empty() || value.exponent >= -i64::from(places)
}

/// The integer value of a text like `1.0` or `1e2`: `None` if not an integer, `Some(None)` beyond 64 bits.
#[allow(clippy::option_option, reason = "two different refusals")]
pub(crate) fn integral(text: &str) -> Option<Option<i64>> {
    let value = decimal(text);
    if value.digits.is_empty() {
        return Some(Some(0));
    }
    let zeros = usize::try_from(value.exponent).ok()?;
    if value.digits.len() + zeros > 19 {
        return Some(None);
    }
    let sign = if value.negative { "-" } else { "" };
    Some(format!("{sign}{}{}", value.digits, "0".repeat(zeros)).parse().ok())
}
