//! `rest-hook.proxy` and `[[rest-hook.tls]]`.

use super::{check, flags, load_with, problems};

#[test]
fn trust_and_identity_of_hosts_are_read_in_order() {
    let file = "[[rest-hook.tls]]\nhosts = [\"EHR.example.org\", \"*.example.net\"]\n\
                ca-files = [\"ca.pem\"]\n[[rest-hook.tls]]\nhosts = \"127.0.0.1\"\n\
                certificate-file = \"client.pem\"\nkey-file = \"client.key\"\n";
    let hosts = load_with(file, &[], flags()).unwrap().rest_hook.hosts;
    let names: Vec<_> =
        hosts.iter().flat_map(|host| &host.hosts).map(ToString::to_string).collect();
    assert_eq!(names, ["ehr.example.org", "*.example.net", "127.0.0.1"]);
    assert_eq!(hosts[0].ca_files, [std::path::PathBuf::from("ca.pem")]);
    assert_eq!(hosts[0].identity, None);
    let identity = hosts[1].identity.as_ref().unwrap();
    assert_eq!(identity.key_file, std::path::PathBuf::from("client.key"));
}

#[test]
fn all_problems_of_a_host_come_at_once() {
    let file = "[[rest-hook.tls]]\nhost = \"a\"\ncertificate-file = \"client.pem\"\n\
                [[rest-hook.tls]]\nhosts = [\"a/b\"]\nkey-file = \"client.key\"\n";
    assert_eq!(
        problems(file, &[], flags()),
        [
            "cresset.toml:1: rest-hook.tls[0].hosts: is missing",
            "cresset.toml:1: rest-hook.tls[0].key-file: is missing: the certificate needs its key",
            "cresset.toml:2: rest-hook.tls[0].host: unknown key, did you mean hosts?",
            "cresset.toml:4: rest-hook.tls[1].certificate-file: is missing: the key needs its \
             certificate",
            "cresset.toml:5: rest-hook.tls[1].hosts: must be a host such as \"ehr.example.org\", \
             or \"*.example.org\" for all below it, not \"a/b\"",
        ]
    );
}

#[test]
fn a_proxy_is_read_and_its_password_is_never_shown() {
    let file = |text: &str| format!("[rest-hook]\nproxy = \"{text}\"\n");
    let loaded = load_with(&file("http://user:marker@10.0.0.1:3128"), &[], flags()).unwrap();
    assert!(loaded.rest_hook.proxy.is_some());
    assert!(!format!("{loaded:?}").contains("marker"));
    check(
        &file("https://user:marker@10.0.0.1"),
        "cresset.toml:2: rest-hook.proxy: must be the URL of a proxy such as \
         \"http://proxy.example.org:3128\", without a path",
    );
}
