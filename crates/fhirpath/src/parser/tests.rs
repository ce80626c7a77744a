use super::parse;
use crate::ast::{Ast, AstKind, Literal, SegmentKind};

/// The tree with all operators as calls, to see what binds to what.
fn shown(ast: &Ast) -> String {
    let list = |all: &[Ast]| all.iter().map(shown).collect::<Vec<_>>().join(" ");
    match &ast.kind {
        AstKind::Empty => "{}".to_owned(),
        AstKind::Literal(Literal::Integer(value)) => value.to_string(),
        AstKind::Literal(literal) => format!("{literal:?}"),
        AstKind::External(name) => format!("%{name}"),
        AstKind::Negate(operand) => format!("(neg {})", shown(operand)),
        AstKind::Binary(operator, a, b) => format!("({operator:?} {} {})", shown(a), shown(b)),
        AstKind::Chain(operator, all) => format!("({operator:?} {})", list(all)),
        AstKind::Is(operand, specifier) => format!("(is {} {specifier})", shown(operand)),
        AstKind::As(operand, specifier) => format!("(as {} {specifier})", shown(operand)),
        AstKind::Path(head, segments) => {
            let head = head.as_ref().map_or(String::new(), |head| shown(head));
            segments.iter().fold(head, |text, segment| {
                text + &match &segment.kind {
                    SegmentKind::Name(name) => format!(".{name}"),
                    SegmentKind::Call(name, arguments) => format!(".{name}({})", list(arguments)),
                    SegmentKind::Index(index) => format!("[{}]", shown(index)),
                    SegmentKind::Special(special) => format!(".{special:?}"),
                }
            })
        }
    }
}

#[test]
fn operators_bind_as_the_grammar_says() {
    let check = |source: &str, expect: &str| {
        let ast = parse(source).unwrap_or_else(|error| panic!("{error}"));
        let text =
            shown(&ast).replace("Arithmetic(", "").replace("Relation(", "").replace(") ", " ");
        assert_eq!(text.replace(')', ""), expect.replace(')', ""), "{source}");
    };
    check("1 + 2 * 3", "(Add 1 (Multiply 2 3");
    check("1 - 2 - 3", "(Subtract (Subtract 1 2 3");
    check("-a.b", "(neg .a.b");
    check("-1 * 2", "(Multiply (neg 1 2");
    check("a | b is C", "(Union .a (is .b C");
    check("a = b | c", "(Equal .a (Union .b .c");
    check("a > b = c", "(Equal (Greater .a .b .c");
    check("a in b and c", "(And (In .a .b .c");
    check("a and b or c and d", "(Or (And .a .b (And .c .d");
    check("a or b xor c or d", "(Or (Xor (Or .a .b .c .d");
    check("a implies b or c", "(Implies .a (Or .b .c");
    check("a and b and c", "(And .a .b .c");
    check("a and (b and c)", "(And .a (And .b .c");
    check("(a | b) | c", "(Union (Union .a .b .c");
    check("a[1 + 2].b(c, d)", ".a[(Add 1 2].b(.c .d");
    check("(a as B.C).d", "(as .a B.C.d");
    check("a & b + c", "(Add (Concatenate .a .b .c");
    check("a contains b", "(Contains .a .b");
    check("a.contains.is(b)", ".a.contains.is(.b");
}
