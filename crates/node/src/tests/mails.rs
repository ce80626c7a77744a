//! Links in mails, and what clients do in the moment in which somebody follows one.

use std::net::TcpListener;
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, ResourceId};
use cresset_store::{Record, TokenRecord};
use serde_json::{Value, json};

use super::fixture::{Fixture, subscription, topic};
use crate::bases::base_of;
use crate::email::tests::config_of;
use crate::email::{confirmation_hash, new_token};
use crate::{MailLink, MailLinkState};

const ID: &str = "by-mail";

/// A node with a topic, and its relay, which takes connections and says nothing.
async fn started() -> (Fixture, TcpListener) {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = relay.local_addr().unwrap().port();
    let fixture = Fixture::configured(|config| config.email = Some(config_of(port)));
    fixture.create(&topic("any", &[])).await.unwrap();
    (fixture, relay)
}

fn by_mail_to(address: &str) -> Value {
    let mut subscription = subscription("any", &[]);
    subscription["id"] = json!(ID);
    subscription["channel"]["type"] = json!("email");
    subscription["channel"]["endpoint"] = json!(format!("mailto:{address}"));
    subscription["channel"]["payload"] = json!("text/plain");
    subscription
}

/// Token and hash of a link that confirms the subscription as it is now.
async fn link(fixture: &Fixture) -> (String, [u8; 32]) {
    let id = ResourceId::new(ID).unwrap();
    let live = fixture.node.shared.live.find(base_of(FhirVersion::R4), &id).unwrap();
    let token = new_token().unwrap();
    let hash = {
        let state = live.state();
        let endpoint = state.settings.endpoint.as_deref().unwrap();
        confirmation_hash(live.key, state.accepted(), endpoint, &token)
    };
    let record = TokenRecord {
        hash,
        base: live.base,
        owner: ClientName::clone(&live.owner),
        expires: fixture.clock.now().checked_add(Duration::from_secs(60)).unwrap(),
        subscriptions: vec![live.key],
    };
    fixture.node.writer.record(vec![Record::Token(record)]).await.unwrap();
    (token, hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_confirm_an_address_that_is_put_there_while_it_is_followed() {
    let (fixture, _relay) = started().await;
    fixture.put(&by_mail_to("own@ward.test")).await.unwrap();
    let (token, hash) = link(&fixture).await;
    let (confirm, version) = (MailLink::Confirm, FhirVersion::R4);
    let found = fixture.node.mail_link(confirm, version, ID, &token).await.unwrap();
    assert_eq!(found, MailLinkState::Open);

    let mut gate = fixture.store.hold_token(hash);
    let node = fixture.node.clone();
    let following =
        tokio::spawn(async move { node.follow_mail_link(confirm, version, ID, &token).await });
    gate.arrived().await;
    fixture.put(&by_mail_to("victim@ward.test")).await.unwrap();
    gate.open();
    assert_eq!(following.await.unwrap().unwrap(), MailLinkState::Invalid);
    assert_eq!(fixture.status(ID).0, "requested", "the victim has not been asked");
}
