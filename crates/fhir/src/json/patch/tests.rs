//! RFC 6902's operations, and what is refused.

use cresset_model::IssueCode;
use serde_json::{Value, json};

use super::super::{parse, render_like};
use super::{PATCH_OPERATIONS_MAX, apply_patch};

fn patched(document: &Value, patch: &Value) -> Result<Value, IssueCode> {
    let mut document = document.clone();
    apply_patch(&mut document, patch).map(|()| document).map_err(|issues| issues.0[0].code)
}

#[test]
fn the_operations_do_what_the_rfc_says() {
    for (document, operation, wanted) in [
        (json!({"a": 1}), json!({"op": "add", "path": "/b", "value": 2}), json!({"a": 1, "b": 2})),
        (
            json!({"a": [1, 3]}),
            json!({"op": "add", "path": "/a/1", "value": 2}),
            json!({"a": [1, 2, 3]}),
        ),
        (json!({"a": [1]}), json!({"op": "add", "path": "/a/-", "value": 2}), json!({"a": [1, 2]})),
        (json!({"a": 1}), json!({"op": "add", "path": "/a", "value": 2}), json!({"a": 2})),
        (json!({"a": 1, "b": 2}), json!({"op": "remove", "path": "/a"}), json!({"b": 2})),
        (json!({"a": [1, 2]}), json!({"op": "remove", "path": "/a/0"}), json!({"a": [2]})),
        (json!({"a": 1}), json!({"op": "replace", "path": "/a", "value": [2]}), json!({"a": [2]})),
        (
            json!({"a": {"b": 1}}),
            json!({"op": "move", "from": "/a/b", "path": "/c"}),
            json!({"a": {}, "c": 1}),
        ),
        (
            json!({"a": [1, 2]}),
            json!({"op": "copy", "from": "/a/0", "path": "/a/-"}),
            json!({"a": [1, 2, 1]}),
        ),
        (json!({"a/b": 1, "c~": 2}), json!({"op": "remove", "path": "/a~1b"}), json!({"c~": 2})),
        (
            json!({"c~1": 2}),
            json!({"op": "test", "path": "/c~01", "value": 2.0}),
            json!({"c~1": 2}),
        ),
    ] {
        assert_eq!(patched(&document, &json!([operation])), Ok(wanted), "{operation}");
    }
}

#[test]
fn what_cannot_be_applied_is_told_apart_from_what_is_no_patch() {
    let document = json!({"a": [1], "b": {"c": 1}});
    for (operation, wanted) in [
        (json!({"op": "remove", "path": "/x"}), IssueCode::PatchNotApplicable),
        (json!({"op": "remove", "path": ""}), IssueCode::PatchNotApplicable),
        (json!({"op": "remove", "path": "/a/01"}), IssueCode::PatchNotApplicable),
        (json!({"op": "add", "path": "/a/2", "value": 1}), IssueCode::PatchNotApplicable),
        (json!({"op": "replace", "path": "/a/-", "value": 1}), IssueCode::PatchNotApplicable),
        (json!({"op": "test", "path": "/a", "value": [2]}), IssueCode::PatchNotApplicable),
        (json!({"op": "move", "from": "/b", "path": "/b/c/d"}), IssueCode::InvalidPatch),
        (json!({"op": "add", "path": "/x"}), IssueCode::InvalidPatch),
        (json!({"op": "add", "path": "x", "value": 1}), IssueCode::InvalidPatch),
        (json!({"op": "merge", "path": "/x", "value": 1}), IssueCode::InvalidPatch),
        (json!("remove"), IssueCode::InvalidPatch),
    ] {
        assert_eq!(patched(&document, &json!([operation])), Err(wanted), "{operation}");
    }
    assert_eq!(patched(&document, &json!({"op": "add"})), Err(IssueCode::InvalidPatch));
}

#[test]
fn operations_copies_and_depth_are_bounded() {
    let operation = json!({"op": "add", "path": "/a", "value": 1});
    let most = vec![operation.clone(); PATCH_OPERATIONS_MAX];
    assert_eq!(patched(&json!({}), &Value::Array(most)), Ok(json!({"a": 1})));
    let many = vec![operation; PATCH_OPERATIONS_MAX + 1];
    assert_eq!(patched(&json!({}), &Value::Array(many)), Err(IssueCode::PatchTooCostly));
    // Each doubles the document, and the depth.
    let doubling = vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 40];
    assert_eq!(
        patched(&json!({"a": [1]}), &Value::Array(doubling)),
        Err(IssueCode::PatchTooCostly)
    );
    let flat: Vec<Value> = (0..40)
        .map(|one| json!({"op": "copy", "from": "/a", "path": format!("/b{one}")}))
        .collect();
    let large = json!({"a": vec![1; 10_000]});
    assert_eq!(patched(&large, &Value::Array(flat)), Err(IssueCode::PatchTooCostly));
}

#[test]
fn what_a_patch_leaves_alone_stays_as_it_was_written() {
    let bytes =
        br#"{"resourceType":"Observation","z":1.00,"a":{"y":[1e2,{"d":1,"c":"x\/y"}]},"gone":1}"#;
    let mut value = parse(bytes).unwrap();
    let patch = json!([
        {"op": "remove", "path": "/gone"},
        {"op": "add", "path": "/b", "value": "new"},
        {"op": "replace", "path": "/a/y/1/d", "value": 2},
    ]);
    apply_patch(&mut value, &patch).unwrap();
    let rendered = String::from_utf8(render_like(bytes, &value)).unwrap();
    let wanted =
        r#"{"resourceType":"Observation","z":1.00,"a":{"y":[1e2,{"d":2,"c":"x\/y"}]},"b":"new"}"#;
    assert_eq!(rendered, wanted);
}

#[test]
fn what_elements_have_to_make_room_for_is_bounded() {
    let document = json!({"a": vec![0; 20_000]});
    let front = json!({"op": "add", "path": "/a/0", "value": 1});
    assert!(patched(&document, &json!(vec![front.clone(); 100])).is_ok());
    assert_eq!(patched(&document, &json!(vec![front; 600])), Err(IssueCode::PatchTooCostly));
    let last = json!({"op": "add", "path": "/a/-", "value": 1});
    assert!(patched(&document, &json!(vec![last; 600])).is_ok());
}

#[test]
fn a_tilde_in_a_path_stands_before_0_or_1() {
    for path in ["/a~2", "/a~"] {
        let operation = json!([{"op": "add", "path": path, "value": 1}]);
        assert_eq!(patched(&json!({}), &operation), Err(IssueCode::InvalidPatch), "{path}");
    }
}
