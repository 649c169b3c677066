//! One pass over a payload: tokens and schema at once, no tree. Faults collect their path while unwinding.
//!
//! Order of faults is that of the text: a wrong type where the value starts, a value where it ends, an
//! unknown or duplicate key at the key, `required` and item counts where the object or array ends.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::fault::Code;
use crate::format;
use crate::json::{Cursor, Halt, Number, Step};
use crate::noted::Member;
use crate::tables::{Field, Node, NodeId, Object, Tables};
use crate::text::Text;

impl Tables {
    /// The value at the cursor, against a node.
    #[inline]
    pub fn value(&self, cursor: &mut Cursor, node: NodeId) -> Step {
        match &self.nodes[node as usize] {
            Node::Text { max } => {
                let text = string(cursor)?;
                if text.longer_than(*max) {
                    return Err(cursor.halt(Code::Property, false, format!("longer than {max} characters")));
                }
                Ok(())
            }
            Node::Choice { first, end } => self.choice(cursor, *first, *end),
            Node::Object(object) => self.object(cursor, object),
            Node::Array { item, min, max } => self.array(cursor, *item, *min, *max),
            Node::DateTime => {
                let text = string(cursor)?;
                judge(cursor, format::date_time(&text.plain()), "not an RFC 3339 date-time with a time zone")
            }
            Node::Uri => {
                let text = string(cursor)?;
                judge(cursor, format::uri(&text.plain()), "not an absolute URI (RFC 3986)")
            }
            Node::Integer { min, max, exact } => integer(cursor, *min, *max, *exact),
            Node::Number { min, max, decimals } => {
                let number = number(cursor, "a number")?;
                let within = || {
                    let value: f64 = number.text.parse().unwrap_or(f64::NAN);
                    (min.value()..=max.value()).contains(&value)
                };
                let bounded = min.value().is_finite() || max.value().is_finite();
                judge(cursor, !bounded || within(), "a number outside its minimum or maximum")?;
                let stepped = decimals.is_none_or(|places| format::at_most_decimals(number.text, places));
                judge(cursor, stepped, "a number with too many decimals")
            }
            Node::Boolean if cursor.literal("true") || cursor.literal("false") => Ok(()),
            Node::Boolean => Err(mismatch(cursor, "a boolean")),
            Node::Any => cursor.value(),
        }
    }

    fn object(&self, cursor: &mut Cursor, object: &Object) -> Step {
        if !cursor.eat(b'{') {
            return Err(mismatch(cursor, "an object"));
        }
        cursor.enter()?;
        let fields = &self.fields[object.first..object.end];
        let mut strange = BTreeSet::new();
        let mut seen = 0u64;
        let mut next = 0;
        cursor.space();
        let mut open = !cursor.eat(b'}');
        while open {
            if let Some(index) = field(cursor, fields, next) {
                let known = &fields[index];
                if seen & (1 << index) != 0 {
                    return Err(cursor.duplicate(&known.name.text));
                }
                seen |= 1 << index;
                next = index + 1;
                cursor.colon()?;
                let start = cursor.at;
                self.value(cursor, known.node).map_err(|_| cursor.under_key(&known.name.text))?;
                cursor.note(known.member, start);
            } else {
                self.odd_key(cursor, object, &mut seen, &mut strange)?;
            }
            open = cursor.more(b'}')?;
        }
        let missing = object.required & !seen;
        if missing != 0 {
            let name = &fields[missing.trailing_zeros() as usize].name.text;
            return Err(cursor.halt(Code::Occurrence, false, format!("the property {name} is missing")));
        }
        cursor.depth -= 1;
        Ok(())
    }

    /// A key that does not stand in the text as the schema spells it: escaped, unknown, or no key at all.
    #[cold]
    fn odd_key<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        object: &Object,
        seen: &mut u64,
        strange: &mut BTreeSet<Cow<'a, str>>,
    ) -> Step {
        let name = cursor.string()?;
        let key = name.plain();
        let fields = &self.fields[object.first..object.end];
        if let Some(index) = fields.iter().position(|field| *field.name.text == *key) {
            if *seen & (1 << index) != 0 {
                return Err(cursor.duplicate(&key));
            }
            *seen |= 1 << index;
            cursor.colon()?;
            let start = cursor.at;
            self.value(cursor, fields[index].node).map_err(|_| cursor.under_key(&key))?;
            cursor.note(fields[index].member, start);
            return Ok(());
        }
        if object.closed {
            cursor.halt(Code::Formation, false, "an unknown property");
            return Err(cursor.under_key(&key));
        }
        let member = Member::named(&key);
        cursor.new_key(strange, key)?;
        let start = cursor.at;
        cursor.value().map_err(|_| cursor.under_key(&name.plain()))?;
        cursor.note(member, start);
        Ok(())
    }

    fn array(&self, cursor: &mut Cursor, item: NodeId, min: usize, max: usize) -> Step {
        if !cursor.eat(b'[') {
            return Err(mismatch(cursor, "an array"));
        }
        cursor.enter()?;
        cursor.space();
        let mut open = !cursor.eat(b']');
        let mut count = 0;
        while open {
            self.value(cursor, item).map_err(|_| cursor.under_index(count))?;
            count += 1;
            open = cursor.more(b']')?;
        }
        if count < min {
            return Err(cursor.halt(Code::Occurrence, false, format!("fewer than {min} items")));
        }
        if count > max {
            return Err(cursor.halt(Code::Occurrence, false, format!("more than {max} items")));
        }
        cursor.depth -= 1;
        Ok(())
    }

    fn choice(&self, cursor: &mut Cursor, first: usize, end: usize) -> Step {
        let values = &self.values[first..end];
        if cursor.peek() == b'"' {
            let start = cursor.at + 1;
            let word = cursor.word(start);
            let rest = &cursor.text.as_bytes()[start..];
            if let Some(value) = values.iter().find(|value| value.leads(word, rest)) {
                cursor.at = start + value.span();
                return Ok(());
            }
        }
        let text = string(cursor)?;
        let escaped = text.escaped && values.iter().any(|value| *value.text == *text.plain());
        judge(cursor, escaped, "not an allowed enum value")
    }
}

/// The field whose name stands at the cursor as it is, and the cursor behind it. Members mostly come in
/// the schema's order, so the search starts behind the field found last.
#[inline]
fn field(cursor: &mut Cursor, fields: &[Field], next: usize) -> Option<usize> {
    if cursor.peek() != b'"' {
        return None;
    }
    let start = cursor.at + 1;
    let word = cursor.word(start);
    let rest = &cursor.text.as_bytes()[start..];
    let here = |index: &usize| fields[*index].name.leads(word, rest);
    let index = (next..fields.len()).find(here).or_else(|| (0..next).find(here))?;
    cursor.at = start + fields[index].name.span();
    Some(index)
}

#[inline]
fn string<'a>(cursor: &mut Cursor<'a>) -> Result<Text<'a>, Halt> {
    if cursor.peek() != b'"' {
        return Err(mismatch(cursor, "a string"));
    }
    cursor.string()
}

#[inline]
fn number<'a>(cursor: &mut Cursor<'a>, wanted: &'static str) -> Result<Number<'a>, Halt> {
    if !matches!(cursor.peek(), b'-' | b'0'..=b'9') {
        return Err(mismatch(cursor, wanted));
    }
    cursor.number()
}

fn integer(cursor: &mut Cursor, min: i64, max: i64, exact: bool) -> Step {
    let number = number(cursor, "an integer")?;
    let value = if number.plain { Some(number.text.parse().ok()) } else { format::integral(number.text) };
    match value {
        None => Err(mismatch_of_number(cursor)),
        Some(_) if exact && !number.plain => Err(mismatch_of_number(cursor)),
        Some(None) => Err(cursor.halt(Code::Property, false, "an integer beyond 64 bits")),
        Some(Some(value)) => {
            judge(cursor, (min..=max).contains(&value), "an integer outside its minimum or maximum")
        }
    }
}

#[inline]
fn judge(cursor: &mut Cursor, fine: bool, reason: &'static str) -> Step {
    if fine { Ok(()) } else { Err(cursor.halt(Code::Property, false, reason)) }
}

#[cold]
fn mismatch_of_number(cursor: &mut Cursor) -> Halt {
    cursor.halt(Code::Type, false, "not an integer")
}

/// Another type than wanted, or no JSON value at all.
#[cold]
fn mismatch(cursor: &mut Cursor, wanted: &'static str) -> Halt {
    match cursor.peek() {
        b'"' | b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
            cursor.halt(Code::Type, false, format!("not {wanted}"))
        }
        _ => cursor.broken("broken JSON: a value is missing"),
    }
}
