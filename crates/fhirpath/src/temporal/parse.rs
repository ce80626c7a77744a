//! Reading dates, times and date-times.

use super::{Date, DateTime, OFFSET_MINUTES_MAX, Time, TimePrecision};

/// A cursor over the bytes of a text.
struct Cursor<'t> {
    rest: &'t [u8],
}

impl Cursor<'_> {
    fn accept(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn digits(&mut self, count: usize) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u16::from(digit - b'0');
        }
        self.rest = rest;
        Some(value)
    }

    fn two(&mut self, max: u8) -> Option<u8> {
        let value = u8::try_from(self.digits(2)?).ok()?;
        (value <= max).then_some(value)
    }

    fn date(&mut self) -> Option<Date> {
        let year = i16::try_from(self.digits(4)?).ok()?;
        let mut date = Date { year, month: 0, day: 0 };
        if self.accept(b'-') {
            date.month = self.two(12).filter(|month| *month != 0)?;
            if self.accept(b'-') {
                date.day = self.two(31).filter(|day| *day != 0)?;
            }
        }
        date.is_valid().then_some(date)
    }

    fn time(&mut self) -> Option<Time> {
        let mut time = Time {
            hour: self.two(23)?,
            minute: 0,
            second: 0,
            precision: TimePrecision::Hour,
            nanosecond: 0,
        };
        if self.accept(b':') {
            time.minute = self.two(59)?;
            time.precision = TimePrecision::Minute;
            if self.accept(b':') {
                // FHIR allows 60 for a leap second.
                time.second = self.two(60)?;
                time.precision = TimePrecision::Second;
                if self.accept(b'.') {
                    self.fraction(&mut time)?;
                }
            }
        }
        Some(time)
    }

    fn fraction(&mut self, time: &mut Time) -> Option<()> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        let kept = &digits[..count.min(9)];
        time.nanosecond = kept.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        time.nanosecond *= 10_u32.pow(u32::try_from(9 - kept.len()).ok()?);
        time.precision = TimePrecision::Fraction(u8::try_from(kept.len()).ok()?);
        (count > 0).then_some(())
    }

    /// A zone, if one follows; `None` if what follows is none.
    fn offset(&mut self) -> Option<Option<i16>> {
        if self.accept(b'Z') {
            return Some(Some(0));
        }
        let sign = match self.rest.first() {
            None => return Some(None),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.rest = &self.rest[1..];
        let hours = i16::from(self.two(14)?);
        let minutes = if self.accept(b':') { i16::from(self.two(59)?) } else { return None };
        let offset = hours * 60 + minutes;
        (offset <= OFFSET_MINUTES_MAX).then_some(Some(sign * offset))
    }

    fn end<T>(&self, value: T) -> Option<T> {
        self.rest.is_empty().then_some(value)
    }
}

impl Date {
    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut cursor = Cursor { rest: text.as_bytes() };
        let date = cursor.date()?;
        cursor.end(date)
    }
}

impl Time {
    /// Reads `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…`; digits beyond nanoseconds are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let mut cursor = Cursor { rest: text.as_bytes() };
        let time = cursor.time()?;
        cursor.end(time)
    }
}

impl DateTime {
    /// Reads a date, or a date, `T` and a time with or without a zone; `T` may end a date.
    pub fn parse(text: &str) -> Option<Self> {
        let mut cursor = Cursor { rest: text.as_bytes() };
        let date = cursor.date()?;
        if !cursor.accept(b'T') || cursor.rest.is_empty() {
            return cursor.end(Self { date, time: None, offset: None });
        }
        if date.day == 0 {
            return None;
        }
        let time = cursor.time()?;
        let offset = cursor.offset()?;
        cursor.end(Self { date, time: Some(time), offset })
    }
}
