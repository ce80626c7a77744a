//! The fenced blocks of a page.

use std::collections::BTreeMap;

/// A block, and what stands behind its first fence.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// Line of the fence, from 1.
    pub(super) line: usize,
    /// The first word.
    pub(super) language: String,
    /// The text between the fences.
    pub(super) text: String,
    attributes: BTreeMap<String, String>,
}

impl Block {
    /// What `name=value` or `name="value"` says behind the language.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether it is a command.
    pub(super) fn is_run(&self) -> bool {
        self.language == "sh"
            && self.attribute("not-run").is_none()
            && self.attribute("file").is_none()
    }
}

/// The blocks of a page, in order.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for (index, line) in page.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (open.take(), fence) {
            (None, Some(info)) => open = Some((head(index + 1, info), indent)),
            (None, None) => {}
            (Some((block, _)), Some("")) => all.push(block),
            (Some((mut block, indent)), _) => {
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
                open = Some((block, indent));
            }
        }
    }
    assert!(open.is_none(), "a block has no end: {open:?}");
    all
}

fn head(line: usize, info: &str) -> Block {
    let (language, mut rest) = info.split_once(' ').unwrap_or((info, ""));
    let mut attributes = BTreeMap::new();
    while let Some((name, after)) = rest.trim_start().split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a closing quote"),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        attributes.insert(name.to_owned(), value.to_owned());
        rest = left;
    }
    assert!(rest.trim().is_empty(), "line {line}: {rest:?} is no attribute");
    Block { line, language: language.to_owned(), text: String::new(), attributes }
}

#[test]
fn blocks_have_a_language_attributes_and_a_text_without_their_indent() {
    let page =
        "a\n```sh stays=\"listening on\" file=x\none\n```\n- b\n\n  ```json\n  {\n    1}\n  ```\n";
    let read = blocks(page);
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].line, read[0].text.as_str()), (2, "one\n"));
    assert_eq!(read[0].attribute("stays"), Some("listening on"));
    assert_eq!(read[0].attribute("file"), Some("x"));
    assert_eq!((read[1].language.as_str(), read[1].text.as_str()), ("json", "{\n  1}\n"));
}
