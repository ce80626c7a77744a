//! Writes JSON into a byte buffer: correct escapes, commas where they belong, stored bytes
//! spliced in as they are.

/// Writes an object to the end of `out`.
pub(crate) fn write_object(out: &mut Vec<u8>, content: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push(b'{');
    content(&mut ObjectWriter { out, first: true });
    out.push(b'}');
}

/// The inside of an object.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl ObjectWriter<'_> {
    /// A string member.
    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(self.out, value);
    }

    /// A string member, if there is a value.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    /// A number member.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    /// A boolean member.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member whose value is JSON already; white space around it is dropped.
    pub(crate) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json.trim_ascii());
    }

    /// An object member.
    pub(crate) fn object(&mut self, name: &str, content: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.name(name);
        write_object(self.out, content);
    }

    /// An array member; left out if nothing is written into it, for FHIR knows no empty arrays.
    pub(crate) fn array(&mut self, name: &str, content: impl FnOnce(&mut ArrayWriter<'_>)) {
        let (start, was_first) = (self.out.len(), self.first);
        self.name(name);
        self.out.push(b'[');
        let mut array = ArrayWriter { out: self.out, first: true };
        content(&mut array);
        if array.first {
            self.out.truncate(start);
            self.first = was_first;
        } else {
            self.out.push(b']');
        }
    }

    /// An array of strings; left out if empty.
    pub(crate) fn strings<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) {
        self.array(name, |array| {
            for value in values {
                array.string(value.as_ref());
            }
        });
    }

    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_string(self.out, name);
        self.out.push(b':');
    }
}

/// The inside of an array.
pub(crate) struct ArrayWriter<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl ArrayWriter<'_> {
    /// A string element.
    pub(crate) fn string(&mut self, value: &str) {
        self.separate();
        write_string(self.out, value);
    }

    /// An element that is JSON already.
    pub(crate) fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.out.extend_from_slice(json);
    }

    /// An object element.
    pub(crate) fn object(&mut self, content: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.separate();
        write_object(self.out, content);
    }

    fn separate(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }
}

/// Writes a string with its quotes and the escapes that JSON demands.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1F => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xF)]);
            out.extend_from_slice(&[b'0', b'0', high, low]);
        }
        written = at + 1;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}
