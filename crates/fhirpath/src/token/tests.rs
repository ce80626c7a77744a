use proptest::prelude::*;

use super::{Lexer, TokenKind};

fn kinds(text: &str) -> Vec<TokenKind> {
    let mut lexer = Lexer::new(text);
    let mut kinds = Vec::new();
    loop {
        let token = lexer.next().unwrap_or_else(|error| panic!("{error}"));
        if token.kind == TokenKind::End {
            return kinds;
        }
        kinds.push(token.kind);
    }
}

#[test]
fn a_point_without_digits_is_navigation() {
    let check = |text: &str, expect: usize| assert_eq!(kinds(text).len(), expect, "{text}");
    check("1.5", 1);
    check("1.x", 3);
    check("@2012.x", 3);
    check("@2012-01-01T10:00:00.5.x", 3);
    check("@2012-01-01T10:00:00.x", 3);
    check("@2012T.x", 3);
    check("@T10.x", 3);
    check("3L", 1);
    check("3Lx", 2);
    check("<=>=!=!~", 4);
    check("a//b\nc/*d*/e", 3);
}

#[test]
fn escapes_are_resolved() {
    let expect = "\u{c}\n\r\t/\\'\"`ä😀".to_owned();
    let text = r#"'\f\n\r\t\/\\\'\"\`\u00e4\ud83d\ude00'"#;
    assert_eq!(kinds(text), [TokenKind::Literal(crate::ast::Literal::String(expect))]);
}

proptest! {
    #[test]
    fn any_text_ends_in_tokens_or_in_an_error(text in "\\PC{0,100}") {
        let mut lexer = Lexer::new(&text);
        for _ in 0..=text.len() {
            match lexer.next() {
                Ok(token) if token.kind != TokenKind::End => {}
                Ok(_) | Err(_) => return Ok(()),
            }
        }
        prop_assert!(false, "the lexer does not move on");
    }
}
