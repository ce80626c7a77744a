//! Dates, times and date-times of any precision.
//!
//! A value knows how precise it is, and two values compare only as far as both are precise: where that
//! does not decide, there is no answer. A date-time without a zone may lie anywhere from 14 hours
//! east to 12 hours west. Tests: `temporal/tests.rs`.

mod arithmetic;
mod boundary;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

pub use arithmetic::CalendarUnit;
pub(crate) use boundary::Boundary;

/// The earliest zone, in minutes east of UTC.
pub(crate) const OFFSET_MINUTES_MAX: i16 = 14 * 60;
/// The latest zone.
pub(crate) const OFFSET_MINUTES_MIN: i16 = -12 * 60;
const MINUTES_PER_DAY: i64 = 24 * 60;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// A year, a month of a year, or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    /// 1 to 9999.
    pub(crate) year: i16,
    /// 1 to 12; 0 if only the year is given.
    pub(crate) month: u8,
    /// 1 to 31; 0 if only the month is given.
    pub(crate) day: u8,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) precision: TimePrecision,
    pub(crate) nanosecond: u32,
}

/// How much of a time is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimePrecision {
    Hour,
    Minute,
    Second,
    /// Seconds with this many digits behind the point.
    Fraction(u8),
}

/// A date, or a date with a time and perhaps a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    pub(crate) date: Date,
    pub(crate) time: Option<Time>,
    /// Minutes east of UTC; only with a time.
    pub(crate) offset: Option<i16>,
}

/// What comparing two values of limited precision yields: an order, or no answer.
pub(crate) type Comparison = Option<Ordering>;

/// Year, month, day, hour, minute and nanoseconds of the minute, as far as given.
struct Components {
    values: [i64; 6],
    count: usize,
}

impl Components {
    fn compare(&self, other: &Self) -> Comparison {
        let common = self.count.min(other.count);
        let order = self.values[..common].cmp(&other.values[..common]);
        (order.is_ne() || self.count == other.count).then_some(order)
    }
}

impl Date {
    /// A day, if there is such a day in years 1 to 9999.
    pub fn new(year: i16, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        (month != 0 && day != 0 && date.is_valid()).then_some(date)
    }

    pub(crate) fn is_valid(self) -> bool {
        (1..=9999).contains(&self.year)
            && self.month <= 12
            && (self.day == 0
                || (self.month != 0 && self.day <= days_in_month(self.year, self.month)))
    }

    pub(crate) const fn component_count(self) -> usize {
        match (self.month, self.day) {
            (0, _) => 1,
            (_, 0) => 2,
            _ => 3,
        }
    }

    /// Days since 1970-01-01 of its first day.
    fn first_epoch_day(self) -> i64 {
        epoch_day(self.year.into(), self.month.max(1).into(), self.day.max(1).into())
    }

    /// Days since 1970-01-01 of the day after its last.
    fn end_epoch_day(self) -> i64 {
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        match self.component_count() {
            1 => epoch_day(year + 1, 1, 1),
            2 if month == 12 => epoch_day(year + 1, 1, 1),
            2 => epoch_day(year, month + 1, 1),
            _ => self.first_epoch_day() + 1,
        }
    }

    fn from_epoch_day(day: i64) -> Option<Self> {
        let (year, month, day) = civil(day);
        Self::new(i16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }
}

impl Time {
    fn component_count(self) -> usize {
        match self.precision {
            TimePrecision::Hour => 1,
            TimePrecision::Minute => 2,
            TimePrecision::Second | TimePrecision::Fraction(_) => 3,
        }
    }

    /// Nanoseconds since the minute began.
    fn nanoseconds_of_minute(self) -> i64 {
        i64::from(self.second) * NANOSECONDS_PER_SECOND + i64::from(self.nanosecond)
    }

    /// How it compares with another time.
    pub(crate) fn compare(self, other: Self) -> Comparison {
        let components = |time: Self| Components {
            values: [time.hour.into(), time.minute.into(), time.nanoseconds_of_minute(), 0, 0, 0],
            count: time.component_count(),
        };
        components(self).compare(&components(other))
    }
}

impl DateTime {
    fn components(self) -> Components {
        let mut values =
            [self.date.year.into(), self.date.month.into(), self.date.day.into(), 0, 0, 0];
        let mut count = self.date.component_count();
        if let Some(time) = self.time {
            values[3] = time.hour.into();
            values[4] = time.minute.into();
            values[5] = time.nanoseconds_of_minute();
            count = 3 + time.component_count();
        }
        Components { values, count }
    }

    /// The components in UTC; without an offset those it is written with.
    fn utc_components(self) -> Components {
        let mut components = self.components();
        if let (Some(time), Some(offset)) = (self.time, self.offset) {
            let minute = self.date.first_epoch_day() * MINUTES_PER_DAY
                + i64::from(time.hour) * 60
                + i64::from(time.minute)
                - i64::from(offset);
            let (year, month, day) = civil(minute.div_euclid(MINUTES_PER_DAY));
            let of_day = minute.rem_euclid(MINUTES_PER_DAY);
            components.values[..5].copy_from_slice(&[year, month, day, of_day / 60, of_day % 60]);
        }
        components
    }

    /// The first nanosecond it may mean and the first one after it, in UTC, over all zones it may
    /// be in.
    pub(crate) fn bounds(self) -> (i128, i128) {
        let (start, end) = match self.time {
            None => (
                self.date.first_epoch_day() * MINUTES_PER_DAY,
                self.date.end_epoch_day() * MINUTES_PER_DAY,
            ),
            Some(time) => {
                let start = self.date.first_epoch_day() * MINUTES_PER_DAY
                    + i64::from(time.hour) * 60
                    + i64::from(time.minute);
                (start, start + if time.precision == TimePrecision::Hour { 60 } else { 1 })
            }
        };
        let nanoseconds = |minutes: i64| i128::from(minutes) * 60 * 1_000_000_000;
        let (mut from, mut to) = (nanoseconds(start), nanoseconds(end));
        if let Some(time) = self.time.filter(|time| time.precision >= TimePrecision::Second) {
            from += i128::from(time.nanoseconds_of_minute());
            to = from + 1;
        }
        let earliest = self.offset.unwrap_or(OFFSET_MINUTES_MAX);
        let latest = self.offset.unwrap_or(OFFSET_MINUTES_MIN);
        (from - nanoseconds(earliest.into()), to - nanoseconds(latest.into()))
    }

    /// How it compares with another date-time.
    pub(crate) fn compare(self, other: Self) -> Comparison {
        if self.offset.is_some() == other.offset.is_some() {
            return self.utc_components().compare(&other.utc_components());
        }
        let (a, b) = (self.bounds(), other.bounds());
        if a.1 <= b.0 {
            Some(Ordering::Less)
        } else if b.1 <= a.0 {
            Some(Ordering::Greater)
        } else {
            None
        }
    }
}

impl From<Date> for DateTime {
    fn from(date: Date) -> Self {
        Self { date, time: None, offset: None }
    }
}

impl From<jiff::Timestamp> for DateTime {
    /// The instant in UTC, to the millisecond.
    fn from(timestamp: jiff::Timestamp) -> Self {
        let seconds = timestamp.as_second();
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let small = |value: i64| u8::try_from(value).unwrap_or_default();
        let milliseconds = u32::try_from(timestamp.subsec_millisecond()).unwrap_or_default();
        Self {
            date: Date {
                year: i16::try_from(year).unwrap_or(9999).max(1),
                month: small(month),
                day: small(day),
            },
            time: Some(Time {
                hour: small(of_day / 3600),
                minute: small(of_day / 60 % 60),
                second: small(of_day % 60),
                precision: TimePrecision::Fraction(3),
                nanosecond: milliseconds * 1_000_000,
            }),
            offset: Some(0),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.month != 0 {
            write!(f, "-{:02}", self.month)?;
        }
        if self.day != 0 {
            write!(f, "-{:02}", self.day)?;
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if self.precision >= TimePrecision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= TimePrecision::Second {
            write!(f, ":{:02}", self.second)?;
        }
        if let TimePrecision::Fraction(digits) = self.precision {
            let text = format!("{:09}", self.nanosecond);
            write!(f, ".{}", &text[..usize::from(digits.min(9))])?;
        }
        Ok(())
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date.fmt(f)?;
        if let Some(time) = self.time {
            write!(f, "T{time}")?;
        }
        match self.offset {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

pub(crate) const fn days_in_month(year: i16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn epoch_day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
fn civil(epoch_day: i64) -> (i64, i64, i64) {
    let shifted = epoch_day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
