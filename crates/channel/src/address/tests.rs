//! One table: addresses and the range that refuses them.

use std::net::IpAddr;

use super::{AddressPolicy, AddressRange, parse_prefix};

fn check(policy: &AddressPolicy, address: &str, expect: Option<AddressRange>) {
    let parsed: IpAddr = address.parse().unwrap();
    assert_eq!(policy.refusal(parsed), expect, "{address} under {policy:?}");
}

fn default_refuses(range: AddressRange, addresses: &[&str]) {
    for address in addresses {
        check(&AddressPolicy::default(), address, Some(range));
    }
}

#[test]
fn public_addresses_are_allowed() {
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ] {
        check(&AddressPolicy::default(), address, None);
    }
}

#[test]
fn every_special_range_is_refused_by_its_name() {
    use AddressRange as R;
    default_refuses(R::Benchmark, &["198.18.0.0", "198.19.255.255"]);
    default_refuses(R::CarrierGrade, &["100.64.0.0", "100.127.255.255"]);
    default_refuses(
        R::Documentation,
        &["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff:fff::1"],
    );
    default_refuses(R::LinkLocal, &["169.254.0.1", "169.254.255.255", "fe80::1", "febf::1"]);
    default_refuses(R::Loopback, &["127.0.0.1", "127.255.255.255", "::1"]);
    default_refuses(R::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]);
    default_refuses(
        R::Private,
        &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1"],
    );
    default_refuses(R::Private, &["fdff::1", "fec0::1"]);
    default_refuses(
        R::Reserved,
        &["0.0.0.1", "192.0.0.1", "192.88.99.1", "240.0.0.1", "255.255.255.255", "100::1"],
    );
    default_refuses(
        R::Reserved,
        &[
            "::2",
            "::7f00:1",
            "64:ff9b:1::1",
            "64:ff9b:1:ffff:ffff::",
            "64:ff9b:0:1::",
            "2001::1",
            "2001:1ff::1",
            "5f00::1",
            "4000::1",
        ],
    );
    default_refuses(R::Unspecified, &["0.0.0.0", "::"]);
}

#[test]
fn metadata_addresses_are_refused_also_where_local_ones_are_allowed() {
    let local = AddressPolicy { allow_local: true, ..AddressPolicy::default() };
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:c1::a9fe:a9fe",
        "fd00:ec2::",
        "fd00:ec2::254",
        "fd00:ec2::123",
        "fd00:ec2:ffff::1",
        "fd20:ce::254",
        "fd00:42::42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    ] {
        check(&AddressPolicy::default(), address, Some(AddressRange::Metadata));
        check(&local, address, Some(AddressRange::Metadata));
    }
}

#[test]
fn mapped_and_translated_forms_do_not_get_around_the_policy() {
    use AddressRange as R;
    default_refuses(R::Loopback, &["::ffff:127.0.0.1", "::ffff:7f00:1"]);
    default_refuses(R::Private, &["::ffff:10.0.0.1", "::ffff:192.168.1.1"]);
    default_refuses(R::Unspecified, &["::ffff:0.0.0.0"]);
    default_refuses(
        R::Translated,
        &["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "2002:7f00:1::1"],
    );
    default_refuses(R::Translated, &["2002:c0a8:101::", "2002:a9fe:a9fe::", "2002:101:101::1"]);
    // Translation is never local, so allowing local addresses does not allow it.
    let local = AddressPolicy { allow_local: true, ..AddressPolicy::default() };
    check(&local, "64:ff9b::7f00:1", Some(R::Translated));
}

#[test]
fn allowing_local_allows_loopback_and_private_only() {
    let local = AddressPolicy { allow_local: true, ..AddressPolicy::default() };
    for address in ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd12::1", "::ffff:127.0.0.1"] {
        check(&local, address, None);
    }
    check(&local, "100.64.0.1", Some(AddressRange::CarrierGrade));
    check(&local, "169.254.0.1", Some(AddressRange::LinkLocal));
    check(&local, "0.0.0.0", Some(AddressRange::Unspecified));
    check(&local, "224.0.0.1", Some(AddressRange::Multicast));
}

#[test]
fn allowed_prefixes_open_what_they_cover_and_no_more() {
    let allow = ["10.1.0.0/16", "100.64.0.7", "fd00:1::/32"];
    let policy = AddressPolicy {
        allow: allow.iter().map(|text| parse_prefix(text).unwrap()).collect(),
        ..AddressPolicy::default()
    };
    for address in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "100.64.0.7", "fd00:1::9"] {
        check(&policy, address, None);
    }
    check(&policy, "10.2.0.0", Some(AddressRange::Private));
    check(&policy, "100.64.0.8", Some(AddressRange::CarrierGrade));
    check(&policy, "127.0.0.1", Some(AddressRange::Loopback));
    check(&policy, "fd00:2::1", Some(AddressRange::Private));
    check(&policy, "2002:a01:1::1", Some(AddressRange::Translated));
}

#[test]
fn a_metadata_address_is_opened_by_itself_and_by_no_prefix_around_it() {
    let around = ["fd00::/8", "fd00:ec2::/32", "100.64.0.0/10", "169.254.169.254/31", "::/0"];
    let allowing = |allow: &[&str]| AddressPolicy {
        allow: allow.iter().map(|text| parse_prefix(text).unwrap()).collect(),
        ..AddressPolicy::default()
    };
    for address in ["fd00:ec2::254", "fd00:ec2::123", "fd00:c1::a9fe:a9fe", "100.100.100.200"] {
        check(&allowing(&around), address, Some(AddressRange::Metadata));
        check(&allowing(&[address]), address, None);
    }
    check(&allowing(&around), "169.254.169.254", Some(AddressRange::Metadata));
    check(&allowing(&["169.254.169.254/32"]), "::ffff:169.254.169.254", None);
    check(&allowing(&around), "64:ff9b::a9fe:a9fe", Some(AddressRange::Translated));
    check(&allowing(&["64:ff9b::a9fe:a9fe/128"]), "64:ff9b::a9fe:a9fe", None);
    for address in ["fd00:1::9", "fd00:c1::1", "fd00:ec3::1", "100.64.0.7", "169.254.169.255"] {
        check(&allowing(&around), address, None);
    }
}

#[test]
fn what_is_denied_is_refused_whatever_allows_it() {
    use AddressRange::Denied;
    let prefixes = |list: &[&str]| list.iter().map(|one| parse_prefix(one).unwrap()).collect();
    let policy = AddressPolicy {
        allow_local: true,
        allow: prefixes(&["0.0.0.0/0", "::/0"]),
        deny: prefixes(&["10.9.0.0/16", "127.0.0.2", "198.35.26.0/24", "2a00:64::/96", "fd00::/8"]),
    };
    for denied in [
        "10.9.1.1",
        "::ffff:10.9.1.1",
        "64:ff9b::10.9.1.1",
        "127.0.0.2",
        "198.35.26.7",
        "64:ff9b::198.35.26.7",
        "2a00:64::7f00:1",
        "fd12::1",
    ] {
        check(&policy, denied, Some(Denied));
    }
    for allowed in ["10.8.1.1", "127.0.0.1", "198.35.27.7", "64:ff9b::10.8.1.1", "2a00:65::1"] {
        check(&policy, allowed, None);
    }
    let public = AddressPolicy { deny: prefixes(&["198.35.26.0/24"]), ..AddressPolicy::default() };
    check(&public, "198.35.26.7", Some(Denied));
    check(&public, "64:ff9b::198.35.26.7", Some(Denied));
    check(&public, "10.9.1.1", Some(AddressRange::Private));
    check(&public, "198.35.27.7", None);
}

#[test]
fn prefixes_are_parsed_strictly() {
    for good in ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "fd00::/8", "::1", "0.0.0.0/0"] {
        assert!(parse_prefix(good).is_ok(), "{good}");
    }
    for bad in ["::ffff:0:0/96", "::ffff:10.0.0.0/104"] {
        assert!(parse_prefix(bad).is_err(), "{bad}: it would cover nothing");
    }
    for bad in ["", "10.0.0.1/8", "10.0.0.0/33", "fd00::1/8", "10.0.0", "local", "10.0.0.0/-1"] {
        assert!(parse_prefix(bad).is_err(), "{bad}");
    }
}
