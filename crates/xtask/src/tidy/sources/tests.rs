use super::*;

#[test]
fn a_lib_rs_may_hold_docs_modules_and_re_exports() {
    let text = "//! Docs; more.\n#![expect(x, reason = \"y\")]\n\n#[cfg(test)]\nmod a;\npub mod b;\n\
                pub use a::{\n    B,\n    C,\n};\n";
    assert_eq!(stray_statement(text), None);
}

#[test]
fn anything_else_in_a_lib_rs_is_shown() {
    assert_eq!(stray_statement("mod a;\n\nfn b() {}\n").as_deref(), Some("fn b() {}"));
    assert_eq!(stray_statement("mod a { }\n").as_deref(), Some("mod a { }"));
    assert_eq!(stray_statement("const A: u8 = 1;").as_deref(), Some("const A: u8 = 1"));
}

#[test]
fn tests_at_the_end_of_a_file_do_not_count() {
    assert_eq!(code_lines("a\nb\n"), 2);
    assert_eq!(code_lines("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
    assert_eq!(code_lines("a\n#[cfg(test)]\nmod tests {\nb\n}\n"), 1);
}
