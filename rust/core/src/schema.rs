//! The JSON schema files of a version, compiled to flat tables once at start.
//!
//! A keyword this file does not know is refused with its place: a new schema package must not be
//! under-validated in silence.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::noted::Member;
use crate::tables::{Bound, Field, Name, Node, NodeId, Object, Tables};
use crate::version::Version;

/// Words that ask nothing of a payload.
const ANNOTATIONS: [&str; 9] =
    ["$schema", "$id", "id", "title", "description", "comment", "javaType", "default", "definitions"];

/// Corrections of the official errata (docs/ocpp.md A17), as values an enum must also accept. The rest of
/// A17 (the 2019-12 set) stands in the package's files already; `tests/test_codec.py` holds them to it.
const ERRATA: [(Version, &str, &str, [&str; 2]); 2] = [
    (
        Version::V16,
        "MeterValues",
        "/properties/meterValue/items/properties/sampledValue/items/properties/unit/enum",
        ["Celcius", "Celsius"], // E16 2.1
    ),
    (
        Version::V16,
        "StopTransaction",
        "/properties/transactionData/items/properties/sampledValue/items/properties/unit/enum",
        ["Celcius", "Celsius"], // E16 2.1
    ),
];

/// A schema file that cannot be compiled: which, where in it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError(pub(crate) String);

impl fmt::Display for SchemaError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for SchemaError {}

/// Collects the files of one version.
pub(crate) struct Compiler {
    version: Version,
    tables: Tables,
    nodes: HashMap<Node, NodeId>,
    fields: HashMap<Vec<(String, NodeId)>, usize>,
    values: HashMap<Vec<String>, usize>,
}

/// One place in one file.
struct Place<'a> {
    file: &'a str,
    root: &'a Value,
    exact: bool,
    path: String,
    depth: u32,
}

impl Place<'_> {
    fn refuse<T>(&self, why: impl fmt::Display) -> Result<T, SchemaError> {
        Err(SchemaError(format!("schema {}.json#{}: {why}", self.file, self.path)))
    }

    fn at(&self, step: &str) -> Place<'_> {
        Place { path: format!("{}/{step}", self.path), depth: self.depth + 1, ..*self }
    }
}

impl Compiler {
    pub fn new(version: Version) -> Self {
        Self {
            version,
            tables: Tables::default(),
            nodes: HashMap::new(),
            fields: HashMap::new(),
            values: HashMap::new(),
        }
    }

    pub fn finish(self) -> Tables {
        self.tables
    }

    /// The root node of one file.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<NodeId, SchemaError> {
        let mut root: Value = serde_json::from_slice(bytes)
            .map_err(|error| SchemaError(format!("schema {name}.json: no JSON ({error})")))?;
        for (version, file, pointer, additions) in ERRATA {
            if version == self.version && file == name {
                let Some(values) = root.pointer_mut(pointer).and_then(Value::as_array_mut) else {
                    return Err(SchemaError(format!(
                        "schema {name}.json#{pointer}: an erratum corrects it, but it is missing"
                    )));
                };
                values.extend(additions.iter().map(|value| Value::from(*value)));
            }
        }
        let exact = match root["$schema"].as_str() {
            Some("http://json-schema.org/draft-04/schema#") => true,
            Some("http://json-schema.org/draft-06/schema#") => false,
            _ => {
                return Err(SchemaError(format!(
                    "schema {name}.json#/$schema: neither draft-04 nor draft-06"
                )));
            }
        };
        let place = Place { file: name, root: &root, exact, path: String::new(), depth: 0 };
        let node = self.schema(&root, &place)?;
        match self.tables.nodes[node as usize] {
            Node::Object(_) => Ok(node),
            _ => place.refuse("a payload must be an object"),
        }
    }

    fn schema(&mut self, value: &Value, place: &Place) -> Result<NodeId, SchemaError> {
        let Value::Object(map) = value else { return place.refuse("not a schema object") };
        if place.depth > 64 {
            return place.refuse("a definition that contains itself");
        }
        if let Some(target) = map.get("$ref") {
            only(map, &["$ref"], place)?;
            let pointer = target.as_str().and_then(|target| target.strip_prefix('#'));
            let found = pointer.filter(|pointer| pointer.starts_with("/definitions/"));
            return match found.and_then(|pointer| place.root.pointer(pointer)) {
                Some(definition) => self.schema(definition, &place.at("$ref")),
                None => place.refuse("$ref does not lead to one of the file's definitions"),
            };
        }
        let node = match map.get("type").map(|kind| kind.as_str().unwrap_or_default()) {
            None => {
                only(map, &[], place)?;
                Node::Any
            }
            Some("object") => self.object(map, place)?,
            Some("array") => self.array(map, place)?,
            Some("string") => self.string(map, place)?,
            Some("integer") => {
                only(map, &["type", "minimum", "maximum"], place)?;
                let bound = |word, none| integer_bound(map, word, none, place);
                Node::Integer {
                    min: bound("minimum", i64::MIN)?,
                    max: bound("maximum", i64::MAX)?,
                    exact: place.exact,
                }
            }
            Some("number") => number(map, place)?,
            Some("boolean") => {
                only(map, &["type"], place)?;
                Node::Boolean
            }
            Some(_) => return place.refuse("an unknown type"),
        };
        Ok(self.intern(node))
    }

    fn intern(&mut self, node: Node) -> NodeId {
        let next = NodeId::try_from(self.tables.nodes.len()).expect("schemas are counted in thousands");
        *self.nodes.entry(node).or_insert_with_key(|node| {
            self.tables.nodes.push(node.clone());
            next
        })
    }

    fn object(&mut self, map: &Map<String, Value>, place: &Place) -> Result<Node, SchemaError> {
        only(map, &["type", "properties", "required", "additionalProperties"], place)?;
        let closed = match map.get("additionalProperties") {
            None => false,
            Some(Value::Bool(allowed)) => !allowed,
            Some(_) => return place.refuse("additionalProperties may only be true or false"),
        };
        let mut fields = Vec::new();
        let none = Map::new();
        let properties = match map.get("properties") {
            None => &none,
            Some(Value::Object(properties)) => properties,
            Some(_) => return place.refuse("properties is not an object"),
        };
        for (name, schema) in properties {
            let inner = place.at("properties");
            let value = self.schema(schema, &inner.at(name))?;
            fields.push((plain(name, &inner)?, value));
        }
        if fields.len() > 64 {
            return place.refuse("more than 64 properties");
        }
        let bit = |name: &str| fields.iter().position(|(field, _)| field == name).map(|index| 1u64 << index);
        let mut required = 0;
        for name in strings(map, "required", place)? {
            match bit(&name) {
                Some(bit) => required |= bit,
                None => return place.refuse(format_args!("required names {name}, which is no property")),
            }
        }
        let first = *self.fields.entry(fields).or_insert_with_key(|fields| {
            let first = self.tables.fields.len();
            let fields = fields.iter().map(|(name, node)| Field {
                name: Name::new(name),
                node: *node,
                member: Member::named(name),
            });
            self.tables.fields.extend(fields);
            first
        });
        Ok(Node::Object(Object { first, end: first + properties.len(), required, closed }))
    }

    fn array(&mut self, map: &Map<String, Value>, place: &Place) -> Result<Node, SchemaError> {
        // Beside an `items` that is one schema, additionalItems means nothing.
        only(map, &["type", "items", "additionalItems", "minItems", "maxItems"], place)?;
        let Some(items) = map.get("items") else { return place.refuse("an array without items") };
        let item = self.schema(items, &place.at("items"))?;
        Ok(Node::Array {
            item,
            min: count(map, "minItems", place)?.unwrap_or(0),
            max: count(map, "maxItems", place)?.unwrap_or(usize::MAX),
        })
    }

    fn string(&mut self, map: &Map<String, Value>, place: &Place) -> Result<Node, SchemaError> {
        // On a string additionalProperties means nothing. The rest come one at a time in OCPP.
        only(map, &["type", "additionalProperties", "enum", "maxLength", "format"], place)?;
        let asked = ["enum", "maxLength", "format"].iter().filter(|word| map.contains_key(**word)).count();
        if asked > 1 {
            return place.refuse("more than one of enum, maxLength and format");
        }
        if map.contains_key("enum") {
            let values = strings(map, "enum", place)?;
            let values = values.iter().map(|value| plain(value, place)).collect::<Result<Vec<_>, _>>()?;
            let count = values.len();
            let first = *self.values.entry(values).or_insert_with_key(|values| {
                let first = self.tables.values.len();
                self.tables.values.extend(values.iter().map(|value| Name::new(value)));
                first
            });
            return Ok(Node::Choice { first, end: first + count });
        }
        match map.get("format").map(Value::as_str) {
            None => Ok(Node::Text { max: count(map, "maxLength", place)?.unwrap_or(usize::MAX) }),
            Some(Some("date-time")) => Ok(Node::DateTime),
            Some(Some("uri")) => Ok(Node::Uri),
            Some(_) => place.refuse("an unknown format"),
        }
    }
}

fn number(map: &Map<String, Value>, place: &Place) -> Result<Node, SchemaError> {
    only(map, &["type", "minimum", "maximum", "multipleOf"], place)?;
    let bound = |word, none: f64| match map.get(word).map(Value::as_f64) {
        None => Ok(Bound::new(none)),
        Some(Some(bound)) => Ok(Bound::new(bound)),
        Some(None) => place.refuse(format_args!("{word} is not a number")),
    };
    let decimals = match map.get("multipleOf").map(ToString::to_string).as_deref() {
        None => None,
        Some("0.1") => Some(1),
        Some(_) => return place.refuse("multipleOf may only be 0.1"),
    };
    Ok(Node::Number {
        min: bound("minimum", f64::NEG_INFINITY)?,
        max: bound("maximum", f64::INFINITY)?,
        decimals,
    })
}

/// Refuses every keyword that is neither an annotation nor in `known`.
fn only(map: &Map<String, Value>, known: &[&str], place: &Place) -> Result<(), SchemaError> {
    let strange = |word: &&String| !ANNOTATIONS.contains(&word.as_str()) && !known.contains(&word.as_str());
    match map.keys().find(strange) {
        Some(word) => place.refuse(format_args!("unknown keyword {word}")),
        None => Ok(()),
    }
}

fn strings(map: &Map<String, Value>, word: &str, place: &Place) -> Result<Vec<String>, SchemaError> {
    let Some(list) = map.get(word) else { return Ok(Vec::new()) };
    let texts = list.as_array().map(|list| list.iter().map(|item| item.as_str().map(str::to_owned)));
    match texts.and_then(Iterator::collect) {
        Some(texts) => Ok(texts),
        None => place.refuse(format_args!("{word} is not a list of strings")),
    }
}

/// Names are compared with raw text, so they must look the same with and without JSON escapes.
fn plain(name: &str, place: &Place) -> Result<String, SchemaError> {
    if name.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        return place.refuse("a name that JSON would have to escape");
    }
    Ok(name.to_owned())
}

fn count(map: &Map<String, Value>, word: &str, place: &Place) -> Result<Option<usize>, SchemaError> {
    match map.get(word).map(|value| value.as_u64().and_then(|value| usize::try_from(value).ok())) {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => place.refuse(format_args!("{word} is not a count")),
    }
}

/// Bounds are written `0.0` in OCPP's schemas, also of integers.
fn integer_bound(map: &Map<String, Value>, word: &str, none: i64, place: &Place) -> Result<i64, SchemaError> {
    let Some(value) = map.get(word) else { return Ok(none) };
    let text = value.to_string();
    match crate::format::integral(&text).flatten() {
        Some(bound) if value.is_number() => Ok(bound),
        _ => place.refuse(format_args!("{word} of an integer is not an integer")),
    }
}
