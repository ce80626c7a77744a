//! The sections `[kafka]` and `[nats]`.

use cresset_channel::Mechanism;

use super::{check, flags, load_with};

#[test]
fn brokers_are_read_with_logins_and_lists() {
    let file = "[kafka]\nservers = [\"kafka-1.example.org:9093\", \"[::1]:9092\"]\n\
                mechanism = \"scram-sha-512\"\nuser = \"cresset\"\npassword-file = \"kafka-password\"\n\
                allow-topics = [\"shared.*\", \"ward-7=orders\"]\nrecord-max = \"2MiB\"\n\
                [nats]\nservers = [\"127.0.0.1:4222\"]\ntls = false\nuser = \"cresset\"\n\
                password-file = \"nats-password\"\n";
    let loaded = load_with(file, &[], flags()).unwrap();
    assert_eq!(loaded.kafka.mechanism, Some(Mechanism::ScramSha512));
    assert_eq!(loaded.kafka.connection.servers[1].to_string(), "[::1]:9092");
    assert_eq!(loaded.kafka.allow_topics.len(), 2);
    assert!(loaded.kafka.connection.is_confidential());
    assert!(loaded.nats.connection.is_confidential(), "it does not leave the machine");
}

#[test]
fn servers_may_come_from_the_environment() {
    let variables = [("CRESSET__NATS__SERVERS", "a.example.org:1,b.example.org:2")];
    let loaded = load_with("", &variables, flags()).unwrap();
    assert_eq!(loaded.nats.connection.servers.len(), 2);
}

#[test]
fn what_is_no_server_topic_or_subject_is_told() {
    check(
        "[kafka]\nservers = [\"kafka://a:9092\"]\n",
        "cresset.toml:2: kafka.servers: must be a host and a port such as \
         \"broker.example.org:4222\", not \"kafka://a:9092\"",
    );
    check(
        "[kafka]\ntopic = \"__own\"\n",
        "cresset.toml:2: kafka.topic: must be letters and digits, perhaps with dots between them",
    );
    check(
        "[nats]\nallow-subjects = [\"a..b\"]\n",
        "cresset.toml:2: nats.allow-subjects: must be a subject, in which \"*\" stands for one \
         part and \">\" for all further ones",
    );
}

#[test]
fn half_a_login_and_a_login_in_the_clear_are_told() {
    check(
        "[kafka]\nmechanism = \"plain\"\nuser = \"a\"\n",
        "cresset.toml:3: kafka.mechanism: needs a user and a file with its password",
    );
    check(
        "[kafka]\nuser = \"a\"\npassword-file = \"b\"\n",
        "cresset.toml:3: kafka.mechanism: must say how to log in with the password",
    );
    check(
        "[nats]\nuser = \"a\"\n",
        "cresset.toml:2: nats.user: goes together with nats.password-file",
    );
    check(
        "[nats]\nservers = [\"nats.example.org:4222\"]\ntls = false\ntoken-file = \"t\"\n",
        "cresset.toml:3: nats.tls: a login needs TLS, or a server on this machine",
    );
    check(
        "[kafka]\nclient-key-file = \"k\"\n",
        "cresset.toml:2: kafka.client-certificate-file: goes together with kafka.client-key-file",
    );
}
