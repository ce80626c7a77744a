//! The routes as a browser asks them, over a node in memory.

mod fixture;

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use self::fixture::{Console, TOKEN, topic};
use crate::failure::CONTENT_SECURITY_POLICY;

/// A text that does something where it is not escaped, in an element and in an attribute.
const SCRIPT: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

/// Pages that need nothing but a session.
const PAGES: [&str; 7] =
    ["/", "/subscriptions", "/topics", "/topics/new", "/live", "/explain", "/try"];

/// What buttons send, where any subscription will do.
const POSTS: [&str; 12] = [
    "/logout",
    "/subscriptions/r4/none/handshake",
    "/subscriptions/r4/none/off",
    "/subscriptions/r4/none/resend",
    "/subscriptions/r4/none/secret",
    "/subscriptions/r4/none/payload",
    "/topics/check",
    "/topics/save",
    "/live/start",
    "/live/end",
    "/explain",
    "/try",
];

/// What browsers say of forms that pages of others send.
const FOREIGN: [&[(&str, &str)]; 7] = [
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    // A name that somebody lets point here.
    &[("host", "evil.example")],
    &[("host", "evil.example"), ("origin", "http://evil.example")],
    &[("host", "evil.example"), ("sec-fetch-site", "same-origin")],
];

/// What they say of the console's own.
const OWN: [&[(&str, &str)]; 4] = [
    &[("sec-fetch-site", "same-origin")],
    &[("host", "localhost:8080"), ("sec-fetch-site", "same-origin")],
    // Over plain http, only this machine is told the site.
    &[("origin", "http://test")],
    &[("host", "192.0.2.1:8080"), ("origin", "http://192.0.2.1:8080")],
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_done_without_a_session() {
    let console = Console::new();
    for path in PAGES {
        let answer = console.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let to = answer.header(header::LOCATION);
        assert!(to.starts_with("/console/login?next=%2F"), "{path}: {to}");
    }
    assert_eq!(console.get("/overview/stream").await.status, StatusCode::UNAUTHORIZED);
    for path in POSTS {
        let answer = console.post(path, &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_the_token_of_an_admin() {
    let console = Console::new();
    for (secret, expect) in [
        ("wrong", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
        ("the-readers-token", StatusCode::UNAUTHORIZED),
        (TOKEN, StatusCode::SEE_OTHER),
    ] {
        let answer = console.post("/login", &[("secret", secret)]).await;
        assert_eq!(answer.status, expect, "{secret}");
        assert!(!answer.text.contains("the-readers-token"), "a secret is not shown again");
    }
    let answer = console.post("/login", &[("secret", TOKEN)]).await;
    let cookie = answer.header(header::SET_COOKIE);
    for part in ["; Path=/console;", "; HttpOnly", "; SameSite=Strict", "; Max-Age=3600"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(TOKEN), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_for_tls_only_and_paths_have_what_a_proxy_puts_before_them() {
    let console = Console::at("https://fhir.example.org/base");
    let answer = console.post("/login", &[("secret", TOKEN)]).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.contains("; Path=/base/console;") && cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(answer.header(header::LOCATION), "/base/console/");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_throttled_and_keep_nobody_with_a_token_out() {
    let console = Console::with_tokens_and_password();
    let log_in = |user: &'static str, secret: &'static str| {
        let fields = [("user", user), ("secret", secret)];
        let console = &console;
        async move { console.post("/login", &fields).await }
    };
    for _ in 0..2 * crate::session::WRONG_MAX {
        assert_eq!(log_in("", "no token").await.status, StatusCode::UNAUTHORIZED);
    }
    for _ in 0..crate::session::WRONG_MAX {
        assert_eq!(log_in("operator", "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = log_in("operator", "a password").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = answer.header(header::RETRY_AFTER).parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(log_in("", TOKEN).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_fills_the_memory_before_the_login() {
    let console = Console::new();
    let large = "x".repeat(20 * 1024);
    let answer = console.post("/login", &[("secret", large.as_str())]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_the_console_where_no_token_is_asked_for() {
    let console = Console::with_password();
    for (user, secret, expect) in [
        ("operator", "wrong", StatusCode::UNAUTHORIZED),
        ("somebody", "a password", StatusCode::UNAUTHORIZED),
        ("", "", StatusCode::UNAUTHORIZED),
        ("operator", "a password", StatusCode::SEE_OTHER),
    ] {
        let answer = console.post("/login", &[("user", user), ("secret", secret)]).await;
        assert_eq!(answer.status, expect, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_leads_to_no_other_site() {
    let console = Console::new();
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
    {
        let answer = console.post("/login", &[("secret", TOKEN), ("next", next)]).await;
        assert_eq!(answer.header(header::LOCATION), "/console/", "{next}");
    }
    let answer = console.post("/login", &[("secret", TOKEN), ("next", "/topics?version=r5")]).await;
    assert_eq!(answer.header(header::LOCATION), "/console/topics?version=r5");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_button_works_from_another_page() {
    let console = Console::logged_in().await;
    let csrf = console.csrf().await;
    for path in POSTS {
        for fields in [vec![], vec![("csrf", "")], vec![("csrf", "another")]] {
            let answer = console.post(path, &fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {fields:?}");
        }
        let fields = [("csrf", csrf.as_str())];
        for headers in FOREIGN {
            let answer = console.post_with(path, &fields, headers).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    for headers in FOREIGN {
        let answer = console.post_with("/login", &[("secret", TOKEN)], headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(console.get("/").await.status, StatusCode::OK, "nobody was logged out");
    let fields = [("csrf", csrf.as_str())];
    let answer = console.post_with("/logout", &fields, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(console.get("/").await.status, StatusCode::SEE_OTHER, "the session has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_work_by_any_name_that_is_the_servers() {
    let console = Console::logged_in().await;
    let csrf = console.csrf().await;
    let fields = [("csrf", csrf.as_str()), ("version", "r4"), ("resource", "{}")];
    for headers in OWN {
        let answer = console.post_with("/topics/check", &fields, headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_no_script_and_no_style_and_every_answer_has_the_policy() {
    let console = Console::logged_in().await;
    console.put("Basic", &topic("t", "A topic")).await;
    let id = console.subscribe("t", "X-Secret").await;
    let subscription = format!("/subscriptions/r4/{id}");
    let others = [
        "/assets/console.css",
        "/assets/none",
        "/none",
        "/login",
        "/topics/r4/t",
        "/topics/r4/t/edit",
        "/topics/r4/none",
        "/live?topic=r4/t",
        &subscription,
    ];
    for path in PAGES.iter().chain(&others) {
        let answer = console.get(path).await;
        assert_eq!(
            answer.header(header::CONTENT_SECURITY_POLICY),
            CONTENT_SECURITY_POLICY,
            "{path}"
        );
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        // Whatever sends no referrer gives its forms the origin `null`.
        assert_eq!(answer.header(header::REFERRER_POLICY), "same-origin", "{path}");
        if !answer.header(header::CONTENT_TYPE).starts_with("text/html") {
            continue;
        }
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
        let text = answer.text.to_lowercase();
        for script in text.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/console/assets/"), "{path}: {script:.60}");
        }
        for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:", "http-equiv"]
        {
            assert!(!text.contains(forbidden), "{path}: {forbidden}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_shown_is_escaped() {
    let console = Console::logged_in().await;
    console.put("Basic", &topic("t", SCRIPT)).await;
    let id = console.subscribe("t", "X-Secret").await;
    let mut patient = json!({"resourceType": "Patient", "id": "p", "name": [{"family": SCRIPT}]});
    console.put("Patient", &patient).await;
    patient["gender"] = "female".into();
    console.put("Patient", &patient).await;
    let mut changed = topic("changed", "A topic");
    changed["extension"][3]["extension"].as_array_mut().unwrap().push(json!({
        "url": "queryCriteria",
        "extension": [
            {"url": "previous", "valueString": "gender=male"},
            {"url": "current", "valueString": "gender=female"},
        ],
    }));
    console.put("Basic", &changed).await;
    let states = ["previous", "current"].map(|name| {
        (name, json!({"resourceType": "Patient", "gender": format!("{name} {SCRIPT}")}).to_string())
    });
    let [previous, current] = states.each_ref().map(|(name, text)| (*name, text.as_str()));
    let quoted = console.quoted(SCRIPT);
    let csrf = console.csrf().await;
    let about = ("subscription", id.as_str());
    let (token, version) = (("csrf", csrf.as_str()), ("version", "r4"));
    let payload = format!("/subscriptions/r4/{id}/payload");
    let resend = format!("/subscriptions/r4/{id}/resend");
    let patient = patient.to_string();
    let mut answers = Vec::new();
    for path in [
        "/topics",
        "/topics/r4/t",
        "/topics/r4/t/edit",
        "/live?topic=r4/t",
        &format!("/subscriptions/r4/{id}"),
        &format!("/subscriptions?topic={quoted}&endpoint={quoted}&owner={quoted}&id={quoted}"),
        &format!("/subscriptions?status={quoted}"),
        &format!("/explain?subscription={quoted}&topic={quoted}&focus={quoted}&version={quoted}"),
        &format!("/topics/r4/{quoted}"),
        &format!("/try/r4/Patient/{quoted}/1"),
        &format!("/try?version={quoted}&sample={quoted}"),
        &format!("/login?next={quoted}"),
        "/try/r4/Patient/p/1",
    ] {
        answers.push((path.to_owned(), console.get(path).await));
    }
    let broken = format!("{{\"resourceType\": \"{SCRIPT}");
    let unknown = json!({"resourceType": "Patient", SCRIPT: 1}).to_string();
    for (path, fields) in [
        (payload.as_str(), vec![token, ("since", "1"), ("until", "2")]),
        (&resend, vec![token, ("since", SCRIPT)]),
        ("/explain", vec![token, version, about, ("focus", "Patient/p")]),
        ("/explain", vec![token, version, about, ("current", &patient)]),
        ("/explain", vec![token, version, ("topic", "changed"), previous, current]),
        ("/explain", vec![token, version, about, ("focus", SCRIPT), ("topic", SCRIPT)]),
        ("/topics/check", vec![token, version, ("resource", &broken)]),
        ("/topics/save", vec![token, version, ("resource", &broken), ("id", SCRIPT)]),
        ("/try", vec![token, version, ("resource", &unknown)]),
        ("/live/start", vec![token, ("topic", SCRIPT)]),
    ] {
        answers.push((path.to_owned(), console.post(path, &fields).await));
    }
    let shown = answers.iter().filter(|(_, answer)| answer.text.contains("alert(1)")).count();
    assert!(shown >= 10, "the text is shown, but escaped: {shown}");
    for seen in ["previous", "current"] {
        let seen = format!("<code>{seen} &#34;&#39;&#62;&#60;script");
        assert!(answers.iter().any(|(_, answer)| answer.text.contains(&seen)), "{seen}");
    }
    for (path, answer) in answers {
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        for raw in ["<script>alert", "<img src=x", "\"'>"] {
            assert!(!answer.text.contains(raw), "{path}: {raw}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_come_in_pages_newest_first() {
    let console = Console::logged_in().await;
    console.put("Basic", &topic("t", "A topic")).await;
    let mut ids = Vec::new();
    for _ in 0..120 {
        ids.push(console.subscribe("t", "X-Secret").await);
    }
    ids.reverse();
    let mut path = "/subscriptions?topic=/t".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = console.get(&path).await;
        let links = answer.text.split("/console/subscriptions/r4/").skip(1);
        let shown = links.map(|rest| rest.split('"').next().unwrap().to_owned());
        pages.push(shown.collect::<Vec<_>>());
        let Some(next) = answer.text.split("rel=\"next\" href=\"/console").nth(1) else { break };
        // The browser reads character references.
        path = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(pages.concat(), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_turned_off_and_on_again_and_its_secret_rotated() {
    let console = Console::logged_in().await;
    console.put("Basic", &topic("t", "A topic")).await;
    let id = console.subscribe("t", "X-Secret").await;
    let csrf = console.csrf().await;
    let path = |action: &str| format!("/subscriptions/r4/{id}{action}");
    for (action, fields, expect) in [
        ("/off", vec![], "off"),
        ("/handshake", vec![], "active"),
        ("/secret", vec![("header", "X-Secret"), ("value", "a new one")], "active"),
    ] {
        let fields = [vec![("csrf", csrf.as_str())], fields].concat();
        let answer = console.post(&path(action), &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{action}: {}", answer.text);
        let page = console.get(&path("")).await.text;
        assert!(page.contains(&format!("class=\"status {expect}\"")), "{action}");
        assert!(!page.contains("a new one") && !page.contains("an old one"), "{action}");
    }
    let stored = console.read("Subscription", &id).await;
    assert_eq!(stored["channel"]["header"], json!(["X-Secret: a new one"]));
    let fields = [("csrf", csrf.as_str()), ("header", "X-Other"), ("value", "x")];
    let answer = console.post(&path("/secret"), &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_what_was_sent_is_told_where_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (console, told) in [
        (Console::logged_in().await, "it keeps no audit trail"),
        (Console::audited(folder.path()).await, "is kept in the audit trail"),
    ] {
        console.put("Basic", &topic("t", "A topic")).await;
        let id = console.subscribe("t", "X-Secret").await;
        console.put("Patient", &json!({"resourceType": "Patient", "id": "p"})).await;
        let csrf = console.csrf().await;
        let fields = [("csrf", csrf.as_str()), ("since", "1"), ("until", "1")];
        let answer = console.post(&format!("/subscriptions/r4/{id}/payload"), &fields).await;
        assert_eq!(answer.status, StatusCode::OK, "{told}: {}", answer.text);
        assert!(answer.text.contains(told), "{told}: {}", answer.text);
    }
}

/// A topic with its status as its id.
fn topic_with(status: &str) -> Value {
    let mut resource = topic(status, "A topic");
    resource["modifierExtension"][0]["valueCode"] = status.into();
    resource
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_with_their_status() {
    let console = Console::logged_in().await;
    for status in ["active", "draft", "retired"] {
        console.put("Basic", &topic_with(status)).await;
    }
    let list = console.get("/topics").await.text;
    for status in ["active", "draft", "retired"] {
        let row = list.split("<tr>").find(|row| row.contains(&format!("/topics/r4/{status}\"")));
        let mark = format!("class=\"status {status}\"");
        assert!(row.is_some_and(|row| row.contains(&mark)), "{status}: {list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_topics_that_take_subscriptions_are_watched() {
    for (console, takes_drafts) in
        [(Console::logged_in().await, false), (Console::accepting_drafts().await, true)]
    {
        for (status, takes) in [("active", true), ("draft", takes_drafts), ("retired", false)] {
            console.put("Basic", &topic_with(status)).await;
            let live = format!("/live?topic=r4/{status}");
            let page = console.get(&format!("/topics/r4/{status}")).await.text;
            assert_eq!(page.contains(&live), takes, "{status}: {page}");
            assert_eq!(page.contains("It is not in force"), !takes, "{status}: {page}");
            let list = console.get("/live").await.text;
            assert_eq!(list.contains(&format!("r4/{status}\"")), takes, "{status}: {list}");
            let expect = if takes { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(console.get(&live).await.status, expect, "{status}");
        }
        // One that is retired keeps the subscriptions that it has.
        console.put("Basic", &topic("retired", "A topic")).await;
        console.subscribe("retired", "X-Secret").await;
        console.put("Basic", &topic_with("retired")).await;
        let page = console.get("/topics/r4/retired").await.text;
        assert!(!page.contains("It is not in force") && !page.contains("Watch live"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_done_once_all_whose_event_it_is_were_told() {
    let console = Console::logged_in().await;
    console.put("Basic", &topic("t", "A topic")).await;
    let write = async |id: &str| {
        console.put("Patient", &json!({"resourceType": "Patient", "id": id})).await;
    };
    let check = async |id: &str, delivered: &str, is_done: bool| {
        let page = console.get(&format!("/try/r4/Patient/{id}/1")).await.text;
        let class = if is_done { "card done" } else { "card" };
        let step = format!("\"{class}\"><h2>Delivered</h2><p><strong>{delivered}</strong>");
        assert!(page.contains(&step), "{id}: {page}");
        page
    };
    write("before").await;
    check("before", "nobody to tell", true).await;
    console.subscribe("t", "X-Secret").await;
    let page = check("before", "nobody to tell", true).await;
    assert!(page.contains("no event") && !page.contains("not yet"), "{page}");
    write("after").await;
    // No socket is bound.
    let page = check("after", "not to all yet", false).await;
    assert!(!page.contains("no event") && page.contains(">not yet<"), "{page}");
    for _ in 0..50 {
        console.subscribe("t", "X-Secret").await;
    }
    let page = check("before", "not known of all", false).await;
    assert!(page.contains("and 1 more"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_streamed_as_parts_of_the_page() {
    let console = Console::logged_in().await;
    let events = console.first_events("/overview/stream", 4).await;
    for part in ["rates", "standing", "failing", "alarm"] {
        assert!(events.contains(&format!("event: {part}\n")), "{part}: {events}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_written_in_any_form_and_not_over_what_nobody_saw() {
    let console = Console::logged_in().await;
    let csrf = console.csrf().await;
    let text = include_str!("../assets/topic.json");
    for version in ["r4", "r4b", "r5"] {
        let fields = [("csrf", csrf.as_str()), ("version", version), ("resource", text)];
        let answer = console.post("/topics/save", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{version}: {}", answer.text);
        let path = answer.header(header::LOCATION).trim_start_matches("/console").to_owned();
        let page = console.get(&path).await.text;
        assert!(page.contains("after the change it matches"), "{version}");
        let (path, _) = path.split_once('?').unwrap();
        let id = path.rsplit('/').next().unwrap();
        // Without an id, as it is to have the one of what is edited.
        let edited = text.replace("has ended", "is over");
        for (read, expect) in [("1", StatusCode::SEE_OTHER), ("1", StatusCode::PRECONDITION_FAILED)]
        {
            let fields = [
                ("csrf", csrf.as_str()),
                ("version", version),
                ("id", id),
                ("read", read),
                ("resource", &edited),
            ];
            let answer = console.post("/topics/save", &fields).await;
            assert_eq!(answer.status, expect, "{version}: {}", answer.text);
        }
        assert!(console.get(path).await.text.contains("An encounter is over"), "{version}");
    }
}
