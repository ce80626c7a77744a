//! Writing a value in the order and the notation of another text.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use super::parser::parse;
use super::scan::{elements, object};
use super::splice::quoted;
use super::without_bom;

/// The value as JSON, its members in the order in which `bytes` has them; those that are new come
/// last. For a resource that was changed as a value: all else stays as its client wrote it.
pub fn render_like(bytes: &[u8], value: &Value) -> Vec<u8> {
    let bytes = without_bom(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    render(bytes, Some(0..bytes.len()), value, &mut out);
    out
}

/// Recursion is bounded by the depth of the value.
fn render(bytes: &[u8], like: Option<Range<usize>>, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            let likes = like.and_then(|like| elements(bytes, like)).unwrap_or_default();
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                render(bytes, likes.get(index).cloned(), item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let like = like.and_then(|like| object(bytes, like));
            let likes = like.map(|like| like.members).unwrap_or_default();
            let known = likes.iter().filter_map(|like| {
                let (name, value) = members.get_key_value(like.name_in(bytes).as_ref())?;
                Some((name, value, Some(like.value.clone())))
            });
            let known: Vec<_> = known.collect();
            let names: BTreeSet<&String> = known.iter().map(|(name, ..)| *name).collect();
            let new = members.iter().filter(|(name, _)| !names.contains(name));
            let new: Vec<_> = new.map(|(name, value)| (name, value, None)).collect();
            out.push(b'{');
            for (index, (name, value, like)) in known.iter().chain(&new).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend(quoted(name));
                out.push(b':');
                render(bytes, like.clone(), value, out);
            }
            out.push(b'}');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            // `1e2` and `\/` stay as they were written.
            let same = like.and_then(|like| bytes.get(like));
            match same.filter(|same| parse(same).is_ok_and(|same| same == *value)) {
                Some(same) => out.extend(same),
                None => out.extend(value.to_string().bytes()),
            }
        }
    }
}
