//! Rights and bearer tokens.

use super::*;

fn caller(name: &str, rights: &[Right]) -> Caller {
    Caller::new(ClientName::new(name).unwrap(), rights.iter().copied().collect())
}

#[test]
fn admin_holds_every_right_and_others_only_their_own() {
    for right in [Right::Admin, Right::Read, Right::Subscribe, Right::Topics, Right::Write] {
        assert!(caller("a", &[Right::Admin]).require(right).is_ok());
        assert_eq!(caller("r", &[Right::Read]).require(right).is_ok(), right == Right::Read);
    }
}

#[test]
fn a_token_names_its_client_whatever_the_case_of_the_scheme() {
    let known = caller("lab", &[Right::Read]);
    let authentication = Authentication::Tokens {
        callers: FxHashMap::from_iter([(TokenHash::of("s3cret"), known.clone())]),
        others: vec![caller("operator", &[Right::Admin])],
    };
    let rights = ClientRights::new(&authentication);
    assert!(rights.has(&ClientName::new("operator").unwrap(), Right::Write), "without a token");
    for header in ["Bearer s3cret", "bearer s3cret", " BEARER   s3cret "] {
        assert_eq!(authentication.caller(Some(header)).unwrap(), known, "{header}");
    }
    for header in [None, Some("Bearer"), Some("Bearer "), Some("Basic s3cret"), Some("Bearer x")] {
        let error = authentication.caller(header).unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{header:?}");
        assert!(!error.to_string().contains("s3cret"));
    }
}

#[test]
fn others_do_not_see_what_a_client_owns() {
    let owner = ClientName::new("lab").unwrap();
    assert!(caller("lab", &[Right::Read]).sees(&owner));
    assert!(!caller("app", &[Right::Read, Right::Subscribe]).sees(&owner));
    assert!(caller("ops", &[Right::Admin]).sees(&owner));
}
