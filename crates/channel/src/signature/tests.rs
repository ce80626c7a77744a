//! The vectors of the specification's reference library, and what receivers do with the rest.

use ring::signature::{ED25519, UnparsedPublicKey};

use super::*;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const TIMESTAMP: i64 = 1_649_367_553;
const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

/// The first key pair of RFC 8032, section 7.1.
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[test]
fn symmetric_signatures_are_those_of_the_reference_library() {
    let key = SigningKey::parse(SECRET).unwrap();
    assert_eq!(signatures(&[key], ID, TIMESTAMP, BODY), SIGNATURE);
}

#[test]
fn asymmetric_signatures_verify_with_the_public_key() {
    let key = SigningKey::parse(&format!("whsk_{SEED}")).unwrap();
    assert_eq!(key.public_key(), Some(format!("whpk_{PUBLIC}")));
    let signed = signatures(&[key], ID, TIMESTAMP, BODY);
    let signature = STANDARD.decode(signed.strip_prefix("v1a,").unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, STANDARD.decode(PUBLIC).unwrap());
    let content = [format!("{ID}.{TIMESTAMP}.").as_bytes(), BODY].concat();
    public.verify(&content, &signature).unwrap();
    assert!(public.verify(&content[1..], &signature).is_err());
}

#[test]
fn while_keys_are_rotated_all_of_them_sign() {
    let other = format!("whsec_{}", STANDARD.encode([7; 32]));
    let asymmetric = format!("whsk_{SEED}");
    let keys: Vec<_> =
        [SECRET, &other, &asymmetric].iter().map(|key| SigningKey::parse(key).unwrap()).collect();
    let signed = signatures(&keys, ID, TIMESTAMP, BODY);
    let parts: Vec<_> = signed.split(' ').collect();
    assert_eq!((parts.len(), parts[0]), (3, SIGNATURE));
    assert!(parts[1].starts_with("v1,") && parts[1] != SIGNATURE);
    assert!(parts[2].starts_with("v1a,"));
}

#[test]
fn what_is_no_key_is_refused_without_repeating_it() {
    let both = |public: &[u8]| {
        let seed = STANDARD.decode(SEED).unwrap();
        format!("whsk_{}", STANDARD.encode([&seed, public].concat()))
    };
    assert!(SigningKey::parse(&both(&STANDARD.decode(PUBLIC).unwrap())).is_ok());
    for text in [
        "",
        "secret-marker",
        "whsec_",
        "whsec_bWFya2Vy",
        "whsec_not base64!",
        &format!("whsec_{}", STANDARD.encode([7; 65])),
        "whsk_bWFya2Vy",
        &both(&[7; 32]),
        &both(&[7; 3]),
    ] {
        let error = SigningKey::parse(text).unwrap_err();
        assert!(!error.to_string().contains("marker"));
    }
    let key = SigningKey::parse(SECRET).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
}
