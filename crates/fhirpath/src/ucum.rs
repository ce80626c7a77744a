//! The part of UCUM that clinical quantities are made of: metric prefixes, base and common derived
//! units, products, quotients and powers.
//!
//! A unit this table does not know has no scale, and then nothing is converted: comparing such
//! quantities has an answer only if the codes are the same text. Units with an offset or a logarithm
//! (`Cel`, `[pH]`) are among those on purpose. Tests: `ucum/tests.rs`.

#[cfg(test)]
mod tests;

use rust_decimal::Decimal;
use smol_str::SmolStr;

/// The longest code that is looked at.
const CODE_BYTES_MAX: usize = 64;
/// The largest exponent that is looked at.
const EXPONENT_MAX: i8 = 9;

/// The base units, in the order of [`Scale`]'s dimensions; the last is the calendar month.
const BASES: [&str; 11] = ["m", "s", "g", "rad", "K", "C", "cd", "mol", "[iU]", "[arb'U]", "month"];
const MONTH_INDEX: usize = 10;

/// How a unit relates to base units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scale {
    factor: Decimal,
    dimensions: [i8; BASES.len()],
}

/// A unit of the table: its code, whether it takes prefixes, its factor and its dimensions.
struct Atom {
    code: &'static str,
    metric: bool,
    factor: &'static str,
    dimensions: &'static [(usize, i8)],
}

const fn atom(
    code: &'static str,
    metric: bool,
    factor: &'static str,
    dimensions: &'static [(usize, i8)],
) -> Atom {
    Atom { code, metric, factor, dimensions }
}

const ATOMS: &[Atom] = &[
    atom("m", true, "1", &[(0, 1)]),
    atom("s", true, "1", &[(1, 1)]),
    atom("g", true, "1", &[(2, 1)]),
    atom("rad", true, "1", &[(3, 1)]),
    atom("K", true, "1", &[(4, 1)]),
    atom("C", true, "1", &[(5, 1)]),
    atom("cd", true, "1", &[(6, 1)]),
    // As a kind of its own rather than a plain number: a molar amount is no count.
    atom("mol", true, "1", &[(7, 1)]),
    atom("eq", true, "1", &[(7, 1)]),
    atom("osm", true, "1", &[(7, 1)]),
    atom("[iU]", true, "1", &[(8, 1)]),
    atom("[IU]", true, "1", &[(8, 1)]),
    atom("[arb'U]", false, "1", &[(9, 1)]),
    atom("%", false, "0.01", &[]),
    atom("[ppth]", false, "0.001", &[]),
    atom("[ppm]", false, "0.000001", &[]),
    atom("[ppb]", false, "0.000000001", &[]),
    atom("min", false, "60", &[(1, 1)]),
    atom("h", false, "3600", &[(1, 1)]),
    atom("d", false, "86400", &[(1, 1)]),
    atom("wk", false, "604800", &[(1, 1)]),
    atom("mo", false, "2629800", &[(1, 1)]),
    atom("mo_j", false, "2629800", &[(1, 1)]),
    atom("a", false, "31557600", &[(1, 1)]),
    atom("a_j", false, "31557600", &[(1, 1)]),
    atom("L", true, "0.001", &[(0, 3)]),
    atom("l", true, "0.001", &[(0, 3)]),
    atom("t", true, "1000000", &[(2, 1)]),
    atom("Hz", true, "1", &[(1, -1)]),
    atom("Bq", true, "1", &[(1, -1)]),
    atom("N", true, "1000", &[(2, 1), (0, 1), (1, -2)]),
    atom("Pa", true, "1000", &[(2, 1), (0, -1), (1, -2)]),
    atom("bar", true, "100000000", &[(2, 1), (0, -1), (1, -2)]),
    atom("m[Hg]", true, "133322000", &[(2, 1), (0, -1), (1, -2)]),
    atom("m[H2O]", true, "9806650", &[(2, 1), (0, -1), (1, -2)]),
    atom("atm", false, "101325000", &[(2, 1), (0, -1), (1, -2)]),
    atom("[psi]", false, "6894757.293168361", &[(2, 1), (0, -1), (1, -2)]),
    atom("J", true, "1000", &[(2, 1), (0, 2), (1, -2)]),
    atom("Gy", true, "1", &[(0, 2), (1, -2)]),
    atom("Sv", true, "1", &[(0, 2), (1, -2)]),
    atom("W", true, "1000", &[(2, 1), (0, 2), (1, -3)]),
    atom("A", true, "1", &[(5, 1), (1, -1)]),
    atom("V", true, "1000", &[(2, 1), (0, 2), (1, -2), (5, -1)]),
    atom("F", true, "0.001", &[(2, -1), (0, -2), (1, 2), (5, 2)]),
    atom("Ohm", true, "1000", &[(2, 1), (0, 2), (1, -1), (5, -2)]),
    atom("S", true, "0.001", &[(2, -1), (0, -2), (1, 1), (5, 2)]),
    atom("kat", true, "1", &[(7, 1), (1, -1)]),
    atom("cal", true, "4184", &[(2, 1), (0, 2), (1, -2)]),
    atom("[Cal]", false, "4184000", &[(2, 1), (0, 2), (1, -2)]),
    atom("dyn", true, "0.01", &[(2, 1), (0, 1), (1, -2)]),
    atom("[in_i]", false, "0.0254", &[(0, 1)]),
    atom("[in_us]", false, "0.025400050800101600", &[(0, 1)]),
    atom("[ft_i]", false, "0.3048", &[(0, 1)]),
    atom("[yd_i]", false, "0.9144", &[(0, 1)]),
    atom("[mi_i]", false, "1609.344", &[(0, 1)]),
    atom("[lb_av]", false, "453.59237", &[(2, 1)]),
    atom("[oz_av]", false, "28.349523125", &[(2, 1)]),
    atom("[st_av]", false, "6350.29318", &[(2, 1)]),
    atom("[gr]", false, "0.06479891", &[(2, 1)]),
    atom("[gal_us]", false, "0.003785411784", &[(0, 3)]),
    atom("[pt_us]", false, "0.000473176473", &[(0, 3)]),
    atom("[foz_us]", false, "0.0000295735295625", &[(0, 3)]),
    atom("[cup_us]", false, "0.0002365882365", &[(0, 3)]),
    atom("[tbs_us]", false, "0.00001478676478125", &[(0, 3)]),
    atom("[tsp_us]", false, "0.00000492892159375", &[(0, 3)]),
    atom("deg", false, "0.0174532925199432957692369077", &[(3, 1)]),
];

/// Prefixes by code and power of ten.
const PREFIXES: &[(&str, i32)] = &[
    ("da", 1),
    ("Y", 24),
    ("Z", 21),
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
    ("a", -18),
];

impl Scale {
    const UNITY: Self = Self { factor: Decimal::ONE, dimensions: [0; BASES.len()] };

    /// So many calendar months, which no number of days equals.
    pub(crate) fn calendar_months(months: i64) -> Self {
        let mut scale = Self { factor: months.into(), ..Self::UNITY };
        scale.dimensions[MONTH_INDEX] = 1;
        scale
    }

    /// Reads a code; `None` if any part of it is not understood.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        if code.is_empty() || code.len() > CODE_BYTES_MAX || !code.is_ascii() {
            return None;
        }
        let mut scale = Self::UNITY;
        let mut inverse = false;
        let mut rest = code;
        if let Some(after) = rest.strip_prefix('/') {
            (inverse, rest) = (true, after);
        }
        loop {
            let end = term_end(rest);
            let (term, after) = rest.split_at(end);
            scale = scale.combined(&parse_term(term)?, inverse)?;
            match after.bytes().next() {
                None => return Some(scale),
                Some(operator) => inverse = operator == b'/',
            }
            rest = &after[1..];
        }
    }

    /// Whether the two measure the same kind of thing.
    pub(crate) fn dimensions_equal(&self, other: &Self) -> bool {
        self.dimensions == other.dimensions
    }

    /// How many base units one of it is.
    pub(crate) fn factor(&self) -> Decimal {
        self.factor
    }

    /// The product with another, or with its inverse.
    pub(crate) fn combined(&self, other: &Self, inverse: bool) -> Option<Self> {
        let factor = if inverse {
            self.factor.checked_div(other.factor)?
        } else {
            self.factor.checked_mul(other.factor)?
        };
        let mut dimensions = self.dimensions;
        for (mine, theirs) in dimensions.iter_mut().zip(other.dimensions) {
            let theirs = if inverse { theirs.checked_neg()? } else { theirs };
            *mine = mine.checked_add(theirs)?;
        }
        Some(Self { factor, dimensions })
    }

    fn power(&self, exponent: i8) -> Option<Self> {
        let mut scale = Self::UNITY;
        for _ in 0..exponent.unsigned_abs() {
            scale = scale.combined(self, exponent < 0)?;
        }
        Some(scale)
    }

    /// A code of its dimensions in base units (`g/m`, `m2`, `1`).
    pub(crate) fn base_code(&self) -> SmolStr {
        let mut above = Vec::new();
        let mut below = String::new();
        for (base, exponent) in BASES.iter().zip(self.dimensions) {
            let shown = |exponent: u8| match exponent {
                1 => (*base).to_owned(),
                _ => format!("{base}{exponent}"),
            };
            if exponent > 0 {
                above.push(shown(exponent.unsigned_abs()));
            } else if exponent < 0 {
                below.push('/');
                below.push_str(&shown(exponent.unsigned_abs()));
            }
        }
        if above.is_empty() && below.is_empty() {
            return SmolStr::new_static("1");
        }
        SmolStr::from(above.join(".") + &below)
    }
}

/// Where the first term of a product ends; brackets hide operators in them.
fn term_end(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'/' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Reads one term: a number, or a unit with an exponent; an annotation in braces says nothing.
fn parse_term(term: &str) -> Option<Scale> {
    let annotated = term.split_once('{');
    let term = match annotated {
        Some((before, after)) if after.ends_with('}') => before,
        Some(_) => return None,
        None => term,
    };
    if term.is_empty() {
        return annotated.map(|_| Scale::UNITY);
    }
    if let Some(exponent) = term.strip_prefix("10*").or_else(|| term.strip_prefix("10^")) {
        let exponent = if exponent.is_empty() { 1 } else { parse_exponent(exponent)? };
        return Some(Scale { factor: power_of_ten(exponent.into())?, ..Scale::UNITY });
    }
    if term.bytes().all(|byte| byte.is_ascii_digit()) {
        let factor: Decimal = term.parse().ok()?;
        return (!factor.is_zero()).then_some(Scale { factor, ..Scale::UNITY });
    }
    if let Some(scale) = parse_unit(term) {
        return Some(scale);
    }
    let at = term.rfind(|c: char| !c.is_ascii_digit())?;
    let at = if matches!(term.as_bytes()[at], b'+' | b'-') { at } else { at + 1 };
    let (unit, exponent) = term.split_at(at);
    parse_unit(unit)?.power(parse_exponent(exponent)?)
}

fn parse_exponent(text: &str) -> Option<i8> {
    text.parse().ok().filter(|exponent: &i8| exponent.abs() <= EXPONENT_MAX)
}

fn parse_unit(text: &str) -> Option<Scale> {
    let find = |code: &str| ATOMS.iter().find(|atom| atom.code == code);
    if let Some(atom) = find(text) {
        return atom.scale(0);
    }
    PREFIXES.iter().find_map(|(prefix, power)| {
        let atom = find(text.strip_prefix(prefix)?).filter(|atom| atom.metric)?;
        atom.scale(*power)
    })
}

fn power_of_ten(power: i32) -> Option<Decimal> {
    match power {
        0.. => {
            Decimal::try_from_i128_with_scale(10_i128.checked_pow(power.unsigned_abs())?, 0).ok()
        }
        _ => Decimal::try_from_i128_with_scale(1, power.unsigned_abs()).ok(),
    }
}

impl Atom {
    fn scale(&self, power: i32) -> Option<Scale> {
        let factor: Decimal = self.factor.parse().ok()?;
        let mut dimensions = [0; BASES.len()];
        for (index, exponent) in self.dimensions {
            dimensions[*index] = *exponent;
        }
        Some(Scale { factor: factor.checked_mul(power_of_ten(power)?)?, dimensions })
    }
}
