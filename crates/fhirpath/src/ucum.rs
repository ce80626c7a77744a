//! UCUM: how units relate to each other, by the tables of `octofhir-ucum`.
//!
//! Shared with `search`, so that a quantity means the same in an expression and in a filter. Exact
//! decimals of 28 digits; what comes out is rounded to [`DIGITS_KEPT`], so that the rounding of a
//! factor such as 1/3600 makes no difference where there is none. Temperatures convert with their
//! zero points; units on a logarithmic scale (`[pH]`) convert into nothing, and then quantities have
//! an order only if their codes are the same text. Tests: `ucum/tests.rs`.

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use octofhir_ucum::{Number, SpecialKind, evaluate, parse_expression};
use rust_decimal::Decimal;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

/// The longest code that is looked at.
const CODE_BYTES_MAX: usize = 64;
/// The significant digits of a number that was converted.
const DIGITS_KEPT: u32 = 24;
/// The most digits after the point that a `Decimal` keeps.
const SCALE_MAX: u32 = 28;

/// The most codes that are kept: more than anybody uses, few enough to keep.
const KNOWN_MAX: usize = 1_024;

/// What was read of each code.
static KNOWN: LazyLock<RwLock<FxHashMap<SmolStr, Option<Arc<Scale>>>>> =
    LazyLock::new(RwLock::default);

/// The base units, in the order of UCUM's dimensions.
const BASES: [&str; 7] = ["m", "s", "g", "rad", "K", "C", "cd"];
/// The calendar month, which no number of days equals.
const MONTH: &str = "month";

/// How a unit relates to base units: so many of it are `(scale × value + offset) × factor` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    scale: Number,
    offset: Number,
    factor: Number,
    dimensions: [i8; BASES.len()],
    /// Units that are no multiple of base units (`[iU]`), sorted, with their exponents.
    atoms: Vec<(&'static str, i32)>,
}

impl Scale {
    const UNITY: Self = Self {
        scale: Number::ONE,
        offset: Number::ZERO,
        factor: Number::ONE,
        dimensions: [0; BASES.len()],
        atoms: Vec::new(),
    };

    /// So many calendar months, which no number of days equals.
    pub(crate) fn calendar_months(months: i64) -> Self {
        Self { factor: Number::from_i64(months), atoms: vec![(MONTH, 1)], ..Self::UNITY }
    }

    /// Reads a case-sensitive UCUM code; `None` if it is none, or has no linear scale.
    pub fn parse(code: &str) -> Option<Self> {
        if code.len() > CODE_BYTES_MAX {
            return None;
        }
        let term = evaluate(&parse_expression(code).ok()?).ok()?;
        let (scale, offset) = match term.special {
            None => (Number::ONE, Number::ZERO),
            Some(special) => (special.scale, zero_point(special.unit.special)?),
        };
        let (factor, dimensions) = (term.factor, term.dim.0);
        Some(Self { scale, offset, factor, dimensions, atoms: term.arbitrary })
    }

    /// The same, read once for each code as long as there is room to keep it.
    pub fn known(code: &str) -> Option<Arc<Self>> {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(code).cloned();
        known.unwrap_or_else(|| {
            let scale = Self::parse(code).map(Arc::new);
            let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < KNOWN_MAX && code.len() <= CODE_BYTES_MAX {
                known.insert(code.into(), scale.clone());
            }
            scale
        })
    }

    /// Where so many of it lie among all measures, in base units: more never lies before less, but
    /// for what is rounded to a binary fraction. `None` where that cannot be computed.
    pub fn in_base_order(&self, value: Decimal) -> Option<f64> {
        let base = self.scale.checked_mul(number(value)?)?.checked_add(self.offset)?;
        Some(base.checked_mul(self.factor)?.to_f64()).filter(|base| base.is_finite())
    }

    /// Whether the two measure the same kind of thing.
    pub(crate) fn dimensions_equal(&self, other: &Self) -> bool {
        self.dimensions == other.dimensions && self.atoms == other.atoms
    }

    /// So many of this unit in another one; `None` where they do not convert, or the number does not
    /// fit.
    pub fn convert(&self, value: Decimal, to: &Self) -> Option<Decimal> {
        if !self.dimensions_equal(to) {
            return None;
        }
        let base = self.scale.checked_mul(number(value)?)?.checked_add(self.offset)?;
        let base = base.checked_mul(self.factor)?;
        decimal(base.checked_div(to.factor)?.checked_sub(to.offset)?.checked_div(to.scale)?)
    }

    /// Whether its zero is nothing: sums, products and quotients mean something only then.
    pub(crate) fn is_ratio(&self) -> bool {
        self.offset.is_zero() && self.scale == Number::ONE
    }

    /// The product with another, or with its inverse.
    pub(crate) fn combined(&self, other: &Self, inverse: bool) -> Option<Self> {
        if !self.is_ratio() || !other.is_ratio() {
            return None;
        }
        let factor = if inverse {
            self.factor.checked_div(other.factor)?
        } else {
            self.factor.checked_mul(other.factor)?
        };
        let sign: i8 = if inverse { -1 } else { 1 };
        let mut dimensions = self.dimensions;
        for (mine, theirs) in dimensions.iter_mut().zip(other.dimensions) {
            *mine = mine.checked_add(theirs.checked_mul(sign)?)?;
        }
        let mut atoms = self.atoms.clone();
        for (atom, exponent) in &other.atoms {
            let exponent = exponent.checked_mul(sign.into())?;
            match atoms.binary_search_by(|(one, _)| one.cmp(atom)) {
                Ok(at) => atoms[at].1 = atoms[at].1.checked_add(exponent)?,
                Err(at) => atoms.insert(at, (atom, exponent)),
            }
        }
        atoms.retain(|(_, exponent)| *exponent != 0);
        Some(Self { factor, dimensions, atoms, ..Self::UNITY })
    }

    /// So many of it in base units.
    pub(crate) fn in_base_units(&self, value: Decimal) -> Option<Decimal> {
        decimal(self.factor.checked_mul(number(value)?)?)
    }

    /// A code of its dimensions in base units (`g/m`, `m2`, `1`).
    pub(crate) fn base_code(&self) -> SmolStr {
        let mut above = Vec::new();
        let mut below = String::new();
        let dimensions = BASES.into_iter().zip(self.dimensions.map(i32::from));
        for (base, exponent) in dimensions.chain(self.atoms.iter().copied()) {
            let shown = match exponent.unsigned_abs() {
                1 => base.to_owned(),
                power => format!("{base}{power}"),
            };
            if exponent > 0 {
                above.push(shown);
            } else if exponent < 0 {
                below.push('/');
                below.push_str(&shown);
            }
        }
        if above.is_empty() && below.is_empty() {
            return SmolStr::new_static("1");
        }
        SmolStr::from(above.join(".") + &below)
    }
}

/// Where the zero of a temperature lies; `None` for scales that are not linear.
fn zero_point(kind: SpecialKind) -> Option<Number> {
    let degrees = if kind == SpecialKind::Celsius {
        "273.15"
    } else if kind == SpecialKind::Fahrenheit {
        "459.67"
    } else if kind == SpecialKind::Reaumur {
        "218.52"
    } else {
        return None;
    };
    Number::parse(degrees)
}

fn number(value: Decimal) -> Option<Number> {
    Number::parse(&value.to_string())
}

/// The number rounded to [`DIGITS_KEPT`]; `None` where a `Decimal` cannot hold it.
fn decimal(number: Number) -> Option<Decimal> {
    let (mut digits, mut exponent) = number.to_integer_and_exponent();
    let count = digits.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    let too_many = count.saturating_sub(DIGITS_KEPT);
    let too_small = u32::try_from(-i64::from(exponent) - i64::from(SCALE_MAX)).unwrap_or(0);
    let cut = too_many.max(too_small);
    if cut > 0 {
        let Some(divisor) = 10_i128.checked_pow(cut) else { return Some(Decimal::ZERO) };
        digits = (digits + digits.signum() * (divisor / 2)) / divisor;
        exponent = exponent.checked_add(i32::try_from(cut).ok()?)?;
    }
    let decimal = match u32::try_from(exponent) {
        Ok(power) => {
            let whole = digits.checked_mul(10_i128.checked_pow(power)?)?;
            Decimal::try_from_i128_with_scale(whole, 0)
        }
        Err(_) => Decimal::try_from_i128_with_scale(digits, exponent.unsigned_abs()),
    };
    decimal.ok().map(|decimal| decimal.normalize())
}
