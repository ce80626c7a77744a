//! Adding durations to dates, times and date-times.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Date, DateTime, NANOSECONDS_PER_SECOND, Time, TimePrecision, days_in_month};

/// A unit of calendar durations, from long to short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    /// `year`, `years`
    Year,
    /// `month`, `months`
    Month,
    /// `week`, `weeks`
    Week,
    /// `day`, `days`
    Day,
    /// `hour`, `hours`
    Hour,
    /// `minute`, `minutes`
    Minute,
    /// `second`, `seconds`
    Second,
    /// `millisecond`, `milliseconds`
    Millisecond,
}

impl CalendarUnit {
    /// Reads a FHIRPath keyword, in singular or plural.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "year" | "years" => Self::Year,
            "month" | "months" => Self::Month,
            "week" | "weeks" => Self::Week,
            "day" | "days" => Self::Day,
            "hour" | "hours" => Self::Hour,
            "minute" | "minutes" => Self::Minute,
            "second" | "seconds" => Self::Second,
            "millisecond" | "milliseconds" => Self::Millisecond,
            _ => return None,
        })
    }

    /// Its keyword in the singular.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
        }
    }

    /// The UCUM code of about the same length; exactly the same from weeks downwards.
    pub(crate) const fn ucum(self) -> &'static str {
        match self {
            Self::Year => "a",
            Self::Month => "mo",
            Self::Week => "wk",
            Self::Day => "d",
            Self::Hour => "h",
            Self::Minute => "min",
            Self::Second => "s",
            Self::Millisecond => "ms",
        }
    }

    /// The calendar unit a UCUM code of time comes closest to.
    pub(crate) fn from_ucum(code: &str) -> Option<Self> {
        Some(match code {
            "a" => Self::Year,
            "mo" => Self::Month,
            "wk" => Self::Week,
            "d" => Self::Day,
            "h" => Self::Hour,
            "min" => Self::Minute,
            "s" => Self::Second,
            "ms" => Self::Millisecond,
            _ => return None,
        })
    }

    /// Nanoseconds of one, with the specification's months of 30 and years of 365 days.
    fn nanoseconds(self) -> i128 {
        let seconds = match self {
            Self::Year => 365 * 86_400,
            Self::Month => 30 * 86_400,
            Self::Week => 7 * 86_400,
            Self::Day => 86_400,
            Self::Hour => 3_600,
            Self::Minute => 60,
            Self::Second => 1,
            Self::Millisecond => return 1_000_000,
        };
        seconds * i128::from(NANOSECONDS_PER_SECOND)
    }
}

/// A whole number of a unit; only seconds keep a fraction.
fn whole(value: Decimal, unit: CalendarUnit) -> Option<i128> {
    if unit >= CalendarUnit::Second {
        (value * Decimal::from(i64::try_from(unit.nanoseconds()).ok()?)).to_i128()
    } else {
        value.trunc().to_i128()?.checked_mul(unit.nanoseconds())
    }
}

impl Date {
    /// The date `value` units later; `None` if that is outside the calendar.
    pub(crate) fn plus(self, value: Decimal, unit: CalendarUnit) -> Option<Self> {
        let months = match unit {
            CalendarUnit::Year => Some(value.trunc().to_i64()?.checked_mul(12)?),
            CalendarUnit::Month => Some(value.trunc().to_i64()?),
            CalendarUnit::Week
            | CalendarUnit::Day
            | CalendarUnit::Hour
            | CalendarUnit::Minute
            | CalendarUnit::Second
            | CalendarUnit::Millisecond => None,
        };
        if let Some(months) = months {
            return self.plus_months(months);
        }
        let days = i64::try_from(whole(value, unit)? / CalendarUnit::Day.nanoseconds()).ok()?;
        match self.component_count() {
            1 => self.plus_months((days / 365).checked_mul(12)?),
            2 => self.plus_months(days / 30),
            _ => Self::from_epoch_day(self.first_epoch_day().checked_add(days)?),
        }
    }

    fn plus_months(self, months: i64) -> Option<Self> {
        if self.month == 0 {
            let year = i64::from(self.year).checked_add(months / 12)?;
            let date = Self { year: i16::try_from(year).ok()?, ..self };
            return date.is_valid().then_some(date);
        }
        let total = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        let year = i16::try_from(total.div_euclid(12)).ok()?;
        let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
        let date = Self { year, month, day: self.day.min(days_in_month(year, month)) };
        date.is_valid().then_some(date)
    }
}

impl Time {
    fn nanoseconds_of_day(self) -> i128 {
        let minutes = i64::from(self.hour) * 60 + i64::from(self.minute);
        i128::from(minutes * 60 * NANOSECONDS_PER_SECOND + self.nanoseconds_of_minute())
    }

    /// The time `value` units later, around the clock; `None` for units longer than hours.
    pub(crate) fn plus(self, value: Decimal, unit: CalendarUnit) -> Option<Self> {
        if unit < CalendarUnit::Hour {
            return None;
        }
        Some(self.plus_nanoseconds(whole(value, unit)?).0)
    }

    /// The time so much later, and the days that have passed.
    fn plus_nanoseconds(self, nanoseconds: i128) -> (Self, i128) {
        let total = self.nanoseconds_of_day() + nanoseconds;
        let day = CalendarUnit::Day.nanoseconds();
        let of_day = total.rem_euclid(day);
        let part = |divisor: i128, modulus: i128| of_day / divisor % modulus;
        let small = |value: i128| u8::try_from(value).unwrap_or_default();
        let mut time = Self {
            hour: small(part(CalendarUnit::Hour.nanoseconds(), 24)),
            minute: small(part(CalendarUnit::Minute.nanoseconds(), 60)),
            second: small(part(CalendarUnit::Second.nanoseconds(), 60)),
            nanosecond: u32::try_from(part(1, NANOSECONDS_PER_SECOND.into())).unwrap_or_default(),
            precision: self.precision,
        };
        time.cut_to_precision();
        (time, total.div_euclid(day))
    }

    fn cut_to_precision(&mut self) {
        match self.precision {
            TimePrecision::Hour => (self.minute, self.second, self.nanosecond) = (0, 0, 0),
            TimePrecision::Minute => (self.second, self.nanosecond) = (0, 0),
            // A fraction added to whole seconds is kept and shows.
            TimePrecision::Second if self.nanosecond != 0 => {
                self.precision = TimePrecision::Fraction(3);
            }
            TimePrecision::Second | TimePrecision::Fraction(_) => {}
        }
    }
}

impl DateTime {
    /// The date-time `value` units later; `None` if that is outside the calendar.
    pub(crate) fn plus(self, value: Decimal, unit: CalendarUnit) -> Option<Self> {
        let Some(time) = self.time.filter(|_| unit >= CalendarUnit::Hour) else {
            return Some(Self { date: self.date.plus(value, unit)?, ..self });
        };
        let (time, days) = time.plus_nanoseconds(whole(value, unit)?);
        let day = self.date.first_epoch_day().checked_add(i64::try_from(days).ok()?)?;
        Some(Self { date: Date::from_epoch_day(day)?, time: Some(time), ..self })
    }
}
