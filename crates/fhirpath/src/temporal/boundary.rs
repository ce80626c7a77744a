//! The earliest and latest values that a value of limited precision may mean.
//!
//! Precision is counted in digits, as FHIRPath's `lowBoundary`, `highBoundary` and `precision` do:
//! a date has 4, 6 or 8, a date-time up to 17, a time 2 to 9.

use super::{
    Date, DateTime, OFFSET_MINUTES_MAX, OFFSET_MINUTES_MIN, Time, TimePrecision, days_in_month,
};

/// Which end of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    Low,
    High,
}

const DATE_DIGITS: i64 = 8;
const DATE_TIME_DIGITS: i64 = 17;
const TIME_DIGITS: i64 = 9;

impl Date {
    /// Digits given.
    pub(crate) fn precision(self) -> i32 {
        match self.component_count() {
            1 => 4,
            2 => 6,
            _ => 8,
        }
    }

    /// The boundary with this many digits (8 if none are asked for).
    pub(crate) fn boundary(self, which: Boundary, digits: Option<i64>) -> Option<Self> {
        let digits = digits.unwrap_or(DATE_DIGITS);
        let mut date = self;
        if date.month == 0 {
            date.month = if which == Boundary::Low { 1 } else { 12 };
        }
        if date.day == 0 {
            date.day = match which {
                Boundary::Low => 1,
                Boundary::High => days_in_month(date.year, date.month),
            };
        }
        match digits {
            4 => Some(Self { month: 0, day: 0, ..date }),
            6 => Some(Self { day: 0, ..date }),
            8 => Some(date),
            _ => None,
        }
    }
}

impl Time {
    /// Digits given; fractions count as milliseconds.
    pub(crate) fn precision(self) -> i32 {
        match self.precision {
            TimePrecision::Hour => 2,
            TimePrecision::Minute => 4,
            TimePrecision::Second => 6,
            TimePrecision::Fraction(_) => 9,
        }
    }

    /// The boundary with this many digits (9 if none are asked for).
    pub(crate) fn boundary(self, which: Boundary, digits: Option<i64>) -> Option<Self> {
        let mut time = self;
        // An hour without minutes means minute 0: so the specification's own example has it.
        if which == Boundary::High {
            if time.precision < TimePrecision::Second {
                time.second = 59;
            }
            if time.precision <= TimePrecision::Second {
                time.nanosecond = 999_000_000;
            }
        }
        time.precision = match digits.unwrap_or(TIME_DIGITS) {
            2 => TimePrecision::Hour,
            4 => TimePrecision::Minute,
            6 => TimePrecision::Second,
            9 => TimePrecision::Fraction(3),
            _ => return None,
        };
        Some(time)
    }
}

impl DateTime {
    /// Digits given.
    pub(crate) fn precision(self) -> i32 {
        self.date.precision() + self.time.map_or(0, Time::precision)
    }

    /// The boundary with this many digits (17 if none are asked for).
    pub(crate) fn boundary(self, which: Boundary, digits: Option<i64>) -> Option<Self> {
        let digits = digits.unwrap_or(DATE_TIME_DIGITS);
        if digits <= DATE_DIGITS {
            return self.date.boundary(which, Some(digits)).map(Self::from);
        }
        let (hour, minute) = match which {
            Boundary::Low => (0, 0),
            Boundary::High => (23, 59),
        };
        let precision = TimePrecision::Minute;
        let bare = Time { hour, minute, second: 0, precision, nanosecond: 0 };
        let offset = match which {
            Boundary::Low => OFFSET_MINUTES_MAX,
            Boundary::High => OFFSET_MINUTES_MIN,
        };
        Some(Self {
            date: self.date.boundary(which, None)?,
            time: Some(self.time.unwrap_or(bare).boundary(which, Some(digits - DATE_DIGITS))?),
            offset: Some(self.offset.unwrap_or(offset)),
        })
    }
}
