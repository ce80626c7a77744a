//! SCRAM against the example of RFC 7677, and messages that must end the exchange.

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn begun(password: &str) -> Exchange {
    Exchange::begin(Hash::Sha256, "user", password, NONCE).0
}

#[test]
fn the_example_of_the_standard_comes_out() {
    let (exchange, first) = Exchange::begin(Hash::Sha256, "user", "pencil", NONCE);
    assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let (proven, last) = exchange.prove(SERVER_FIRST).unwrap();
    assert_eq!(
        last,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert_eq!(proven.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    assert_eq!(proven.check("e=invalid-proof"), Err(Failure::Authentication));
    let another = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=";
    assert_eq!(proven.check(another), Err(Failure::Message), "not canonical base64");
    let another = "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(proven.check(another), Err(Failure::Authentication), "a broker that guesses");
}

#[test]
fn a_broker_that_answers_with_another_nonce_or_too_few_rounds_gets_no_proof() {
    for first in [
        "r=another%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO%h,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=rOprNGfwEbeRWgbNEkqO%h,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
        "m=must,r=rOprNGfwEbeRWgbNEkqO%h,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO%h,s=?,i=4096",
        "e=other-error",
        "",
    ] {
        assert_eq!(begun("pencil").prove(first).err(), Some(Failure::Message), "{first}");
    }
}

#[test]
fn names_cannot_break_out_of_the_message() {
    let (_, first) = Exchange::begin(Hash::Sha512, "a=b,n=root", "pencil", "x");
    assert_eq!(first, "n,,n=a=3Db=2Cn=3Droot,r=x");
}

#[test]
fn the_password_does_not_show() {
    assert!(!format!("{:?}", begun("pencil")).contains("pencil"));
}
