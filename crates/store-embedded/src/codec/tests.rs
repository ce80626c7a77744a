use proptest::prelude::*;

use super::{put_integer, put_text, take_eight, take_integer, take_text};

proptest! {
    #[test]
    fn integers_and_texts_come_back(values: Vec<u64>, text: String) {
        let mut blob = Vec::new();
        for value in &values {
            put_integer(&mut blob, *value);
        }
        put_text(&mut blob, &text);
        let mut rest = blob.as_slice();
        for value in values {
            prop_assert_eq!(take_integer(&mut rest).unwrap(), value);
        }
        prop_assert_eq!(take_text(&mut rest).unwrap(), text);
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for take in [
            |rest: &mut &[u8]| take_integer(rest).is_ok(),
            |rest: &mut &[u8]| take_text(rest).is_ok(),
            |rest: &mut &[u8]| take_eight(rest).is_ok(),
        ] {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && take(&mut rest) {}
        }
    }
}

#[test]
fn the_largest_integer_fits_and_no_larger_one() {
    let mut blob = Vec::new();
    put_integer(&mut blob, u64::MAX);
    assert_eq!(take_integer(&mut blob.as_slice()).unwrap(), u64::MAX);
    *blob.last_mut().unwrap() = 2;
    assert!(take_integer(&mut blob.as_slice()).is_err());
}
