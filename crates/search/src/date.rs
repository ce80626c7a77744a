//! Dates as ranges of time, and the comparators over them.
//!
//! A FHIR date, dateTime or instant is read as the range its precision leaves open: `2013-01` is
//! all of January. Ranges are half-open, in microseconds since 1970; text without a zone is UTC.

use cresset_model::Comparator;
use jiff::civil;
use serde_json::Value;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Digits of a fraction of a second that are kept; more are cut off.
const FRACTION_DIGITS_MAX: u32 = 6;

/// A range of time: from `start` up to, not including, `end`, in microseconds since 1970 (UTC).
///
/// `i64::MIN` and `i64::MAX` stand for a missing start or end, before and after every date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateRange {
    /// The first microsecond in it.
    pub start: i64,
    /// The first microsecond after it.
    pub end: i64,
}

impl DateRange {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or `YYYY-MM-DDThh:mm[:ss[.f…]][Z|±hh:mm]`.
    ///
    /// `None` for anything else, for days and times that do not exist, and for year 0.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let year = i16::try_from(rest.digits(4)?).ok().filter(|year| *year > 0)?;
        if rest.is_empty() {
            let first = civil::Date::new(year, 1, 1).ok()?;
            return Some(Self::days(first, first.days_in_year().into()));
        }
        rest.byte(b'-')?;
        let month = i8::try_from(rest.digits(2)?).ok()?;
        if rest.is_empty() {
            let first = civil::Date::new(year, month, 1).ok()?;
            return Some(Self::days(first, first.days_in_month().into()));
        }
        rest.byte(b'-')?;
        let day = civil::Date::new(year, month, i8::try_from(rest.digits(2)?).ok()?).ok()?;
        if rest.is_empty() {
            return Some(Self::days(day, 1));
        }
        rest.byte(b'T')?;
        let (time, width) = rest.time()?;
        let offset = rest.offset()?;
        let start = Self::days(day, 1).start + time - offset;
        rest.is_empty().then_some(Self { start, end: start + width })
    }

    /// An instant: a fixed point, so the shortest range there is at the time the text names.
    pub(crate) fn parse_instant(text: &str) -> Option<Self> {
        Self::parse(text).map(|range| Self { end: range.start + 1, ..range })
    }

    /// `Period`: from the start of its start to the end of its end; `None` without either.
    pub(crate) fn of_period(period: &Value) -> Result<Option<Self>, Malformed> {
        let part = |name: &str| match period.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_str().and_then(Self::parse).ok_or(Malformed("Period")).map(Some)
            }
        };
        let (start, end) = (part("start")?, part("end")?);
        if start.is_none() && end.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            start: start.map_or(i64::MIN, |range| range.start),
            end: end.map_or(i64::MAX, |range| range.end),
        }))
    }

    /// `Timing`: only its outer limits matter; `None` where it has no date at all.
    pub(crate) fn of_timing(timing: &Value) -> Result<Option<Self>, Malformed> {
        let bounds = match timing.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")) {
            Some(period) => Self::of_period(period)?,
            None => None,
        };
        let events = timing.get("event").and_then(Value::as_array).into_iter().flatten();
        events.filter(|event| !event.is_null()).try_fold(bounds, |limits, event| {
            let event = event.as_str().and_then(Self::parse).ok_or(Malformed("Timing"))?;
            Ok(Some(limits.map_or(event, |limits| limits.hull(event))))
        })
    }

    fn days(first: civil::Date, count: i64) -> Self {
        const EPOCH: civil::Date = civil::Date::constant(1970, 1, 1);
        // Years 1 to 9999 are at most 4 million days from the epoch: far inside of i64.
        let start = i64::from((first - EPOCH).get_days()) * DAY;
        Self { start, end: start + count * DAY }
    }

    fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A value of this type does not have the form FHIR gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A date to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateOperand {
    /// How to compare.
    pub comparator: Comparator,
    /// With what.
    pub range: DateRange,
}

impl DateOperand {
    /// FHIR's table of prefixes, in its reading for ranges: `value` is the resource's, "above" and
    /// "below" are what lies after the end and before the start of the searched range.
    pub fn matches(&self, value: DateRange) -> bool {
        let range = self.range;
        let equal = range.contains(value);
        let (reaches_above, reaches_below) = (value.end > range.end, value.start < range.start);
        match self.comparator {
            Comparator::Ap => value.start < range.end && range.start < value.end,
            Comparator::Eb => value.end <= range.start,
            Comparator::Eq => equal,
            Comparator::Ge => reaches_above || equal,
            Comparator::Gt => reaches_above,
            Comparator::Le => reaches_below || equal,
            Comparator::Lt => reaches_below,
            Comparator::Ne => !equal,
            Comparator::Sa => value.start >= range.end,
        }
    }
}

/// What is left to read of a date.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == wanted).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    fn digits_to(&mut self, max: i64) -> Option<i64> {
        self.digits(2).filter(|number| *number <= max)
    }

    /// `hh:mm[:ss[.f…]]` as time since midnight and the width its precision leaves open.
    fn time(&mut self) -> Option<(i64, i64)> {
        let hours = self.digits_to(23)?;
        self.byte(b':')?;
        let minutes = self.digits_to(59)?;
        let time = hours * HOUR + minutes * MINUTE;
        if self.0.first() != Some(&b':') {
            return Some((time, MINUTE));
        }
        self.byte(b':')?;
        // FHIR allows a leap second; it falls on the first second of the next minute.
        let time = time + self.digits_to(60)? * SECOND;
        if self.0.first() != Some(&b'.') {
            return Some((time, SECOND));
        }
        self.byte(b'.')?;
        let (fraction, width) = self.fraction()?;
        Some((time + fraction, width))
    }

    fn fraction(&mut self) -> Option<(i64, i64)> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let kept = digits.len().min(FRACTION_DIGITS_MAX as usize);
        let mut width = SECOND;
        let mut fraction = 0;
        for digit in &digits[..kept] {
            width /= 10;
            fraction += i64::from(digit - b'0') * width;
        }
        (count > 0).then_some((fraction, width))
    }

    /// `Z`, `±hh:mm`, or nothing, which is UTC, as an offset east.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.0.first() {
            None => return Some(0),
            Some(b'Z') => {
                self.byte(b'Z')?;
                return Some(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.digits_to(14)?;
        self.byte(b':')?;
        Some(sign * (hours * HOUR + self.digits_to(59)? * MINUTE))
    }
}

#[cfg(test)]
mod tests;
