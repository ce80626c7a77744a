//! JSON with line breaks and indents, for people; members stay in their order, numbers as they are.

/// The same JSON, two blanks for each level.
///
/// The caller ensures that `bytes` is JSON; of anything else the outcome is of no use.
pub fn pretty(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for &byte in bytes {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                // Nothing is between the brackets of what is empty.
                let filled = out.trim_ascii_end().len();
                if matches!(out[..filled].last(), Some(b'{' | b'[')) {
                    out.truncate(filled);
                } else {
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            _ => out.push(byte),
        }
    }
    out
}

fn line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * depth));
}

#[cfg(test)]
mod tests {
    use super::pretty;

    fn check(from: &str, to: &str) {
        let made = String::from_utf8(pretty(from.as_bytes())).unwrap();
        assert_eq!(made, to);
        assert_eq!(String::from_utf8(pretty(made.as_bytes())).unwrap(), to, "pretty already");
    }

    #[test]
    fn order_numbers_and_text_stay() {
        check(
            r#"{"z":1.00,"a":[true,null,{}],"s":"a\"{[:, ä\\","e":[ ]}"#,
            "{\n  \"z\": 1.00,\n  \"a\": [\n    true,\n    null,\n    {}\n  ],\n  \"s\": \"a\\\"{[:, ä\\\\\",\n  \"e\": []\n}",
        );
        check("[]", "[]");
        check("\"x\"", "\"x\"");
    }
}
