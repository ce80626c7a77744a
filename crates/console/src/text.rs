//! Numbers and times as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// A count with a comma after every third digit.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time, in the largest unit that fits.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..10 => format!("{:.1} s", length.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let length = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    format!("{} ago", duration(length))
}

/// The time of day to the millisecond, in UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split('T').nth(1).unwrap_or(&text).trim_end_matches('Z');
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{whole}.{:0<3}", fraction.get(..3).unwrap_or(fraction))
}

/// A rate, with a digit after the point where that says something.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 10.0 || per_second == 0.0 {
        format!("{per_second:.0}")
    } else {
        format!("{per_second:.1}")
    }
}

/// How often something happens that happened so many times within so long, by the shortest unit in
/// which it does at least once; none within less than a second, of which there is no rate.
pub(crate) fn frequency(count: u64, within: Duration) -> Option<String> {
    const UNITS: [(&str, f64); 4] =
        [("a second", 1.0), ("a minute", 60.0), ("an hour", 3_600.0), ("a day", 86_400.0)];
    if within < Duration::from_secs(1) {
        return None;
    }
    let per_second = count as f64 / within.as_secs_f64();
    let found = UNITS.iter().find(|(_, seconds)| per_second * seconds >= 1.0);
    let (unit, seconds) = found.unwrap_or(&UNITS[UNITS.len() - 1]);
    Some(format!("{} {unit}", rate(per_second * seconds)))
}

/// JSON with a line for each member, in the order it has; what is no JSON comes out in some way, too.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut characters = json.chars().peekable();
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                let mut is_escaped = false;
                for inner in characters.by_ref() {
                    out.push(inner);
                    if inner == '"' && !is_escaped {
                        break;
                    }
                    is_escaped = inner == '\\' && !is_escaped;
                }
            }
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            white if white.is_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas() {
        for (number, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), expect);
        }
    }

    #[test]
    fn durations_take_the_largest_unit_that_fits() {
        for (millis, expect) in [
            (7, "7 ms"),
            (1_250, "1.2 s"),
            (59_000, "59 s"),
            (125_000, "2 min"),
            (7_200_000, "2 h"),
            (260_000_000, "3 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expect);
        }
    }

    #[test]
    fn frequencies_take_the_unit_in_which_it_happens() {
        for (count, millis, expect) in [
            (120, 999, None),
            (0, 60_000, Some("0 a day")),
            (1, 1_000, Some("1.0 a second")),
            (200, 2_500, Some("80 a second")),
            (59, 60_000, Some("59 a minute")),
            (3, 7_200_000, Some("1.5 an hour")),
            (1, 864_000_000, Some("0.1 a day")),
        ] {
            let found = frequency(count, Duration::from_millis(millis));
            assert_eq!(found.as_deref(), expect, "{count} in {millis} ms");
        }
    }

    #[test]
    fn json_is_indented_in_its_order() {
        let json = r#"{"b": "a,{\\", "a":[1, {}],"c":[]}"#;
        let expect = "{\n  \"b\": \"a,{\\\\\",\n  \"a\": [\n    1,\n    {}\n  ],\n  \"c\": []\n}";
        assert_eq!(indented(json), expect);
        assert_eq!(indented(&indented(json)), expect);
    }

    #[test]
    fn the_time_of_day_has_milliseconds() {
        for (at, expect) in [
            ("2026-01-02T03:04:05Z", "03:04:05.000"),
            ("2026-01-02T03:04:05.67Z", "03:04:05.670"),
            ("2026-01-02T03:04:05.67890123Z", "03:04:05.678"),
        ] {
            assert_eq!(clock(at.parse().unwrap()), expect);
        }
    }
}
