//! Cases of binding tokens (RQ-OP-42).

use super::{Builder, Fixture, at, client, subscription};
use crate::{Error, Group, Record, Retention, TOKEN_SUBSCRIPTIONS_MAX, TokenRecord};
use cresset_model::{Base, SubscriptionKey};

fn token(byte: u8, expires: i64, subscriptions: Vec<SubscriptionKey>) -> TokenRecord {
    TokenRecord {
        hash: [byte; 32],
        base: Base::new(5),
        owner: client("binder"),
        expires: at(expires),
        subscriptions,
    }
}

fn records(records: Vec<Record>) -> Group {
    Group { entries: Vec::new(), records }
}

/// A token survives a restart, whatever it covers.
pub fn a_token_is_read_back_whole(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let tokens = [
        token(0, 5, vec![a]),
        token(1, -5, Vec::new()),
        token(2, 9, (1..=3_000).rev().map(subscription).collect()),
    ];
    let group = Group {
        entries: vec![begin],
        records: tokens.iter().cloned().map(Record::Token).collect(),
    };
    fixture.store().append(&group).unwrap();
    fixture.reopen();
    for token in tokens {
        assert_eq!(fixture.store().token(&token.hash).unwrap().as_ref(), Some(&token));
        assert!(!format!("{token:?}").contains("hash"));
    }
    let over = vec![subscription(1); TOKEN_SUBSCRIPTIONS_MAX + 1];
    let refused = fixture.store().append(&records(vec![Record::Token(token(9, 9, over))]));
    assert!(matches!(refused, Err(Error::Invalid { .. })));
}

/// Revoking works at once, also in the group that issued it.
pub fn a_revoked_token_is_gone(fixture: &mut impl Fixture) {
    let store = fixture.store();
    store.append(&records(vec![Record::Token(token(1, 5, Vec::new()))])).unwrap();
    store
        .append(&records(vec![
            Record::TokenRevoked([1; 32]),
            Record::TokenRevoked([3; 32]),
            Record::Token(token(2, 5, Vec::new())),
            Record::TokenRevoked([2; 32]),
        ]))
        .unwrap();
    fixture.reopen();
    assert_eq!(fixture.store().token(&[1; 32]).unwrap(), None);
    assert_eq!(fixture.store().token(&[2; 32]).unwrap(), None);
}

/// Tokens go by their expiry alone.
pub fn expired_tokens_are_forgotten(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let all = (0..10).map(|n| Record::Token(token(n, i64::from(n), Vec::new()))).collect();
    store.append(&records(all)).unwrap();
    let retention = Retention { tokens_expired_before: Some(at(4)), ..Retention::default() };
    let done = store.forget(&retention, 100).unwrap();
    assert_eq!((done.tokens, done.events, done.finished), (4, 0, true));
    fixture.reopen();
    for n in 0..10 {
        assert_eq!(fixture.store().token(&[n; 32]).unwrap().is_some(), n >= 4, "{n}");
    }
}
