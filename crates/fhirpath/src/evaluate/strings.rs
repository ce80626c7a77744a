//! String functions. Positions and lengths count characters.

use regex::{Regex, RegexBuilder};

use super::encoding::{decode, encode, escape, unescape};
use super::{Call, Evaluator, Result, single, wrong_type};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::function::{Text, TextPair};
use crate::item::{Item, Scalar};

/// The largest compiled regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// What compiling a regular expression costs, in steps.
const PATTERN_STEPS: u32 = 1_000;

/// A regular expression as FHIRPath means it: unanchored, `.` matches line ends too.
///
/// The engine takes linear time, so no pattern is catastrophic. `None` if it is not understood.
pub(crate) fn pattern(source: &str, flags: &str, full: bool) -> Option<Regex> {
    let anchored = if full { format!("^(?:{source})$") } else { source.to_owned() };
    RegexBuilder::new(&anchored)
        .dot_matches_new_line(true)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .ok()
}

fn text<'i>(item: &'i Item<'_>, call: &Call<'_, '_>) -> Result<&'i str> {
    if let Some(Scalar::String(text)) = item.scalar() {
        return Ok(text);
    }
    let wanted = format!("`{}()` needs a string", call.name());
    Err(wrong_type(&wanted, item.item_type(), call.step.offset))
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn text(
        &mut self,
        function: Text,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        if function == Text::Join {
            return self.join(call, out);
        }
        let Some(item) = call.single()? else { return Ok(()) };
        let input = text(item, call)?;
        self.budget.bytes(input.len(), call.step.offset)?;
        match function {
            Text::Join => Ok(()),
            Text::Length => {
                out.extend(i32::try_from(input.chars().count()).map(Item::Integer));
                Ok(())
            }
            Text::Upper => self.made(input.to_uppercase(), call, out),
            Text::Lower => self.made(input.to_lowercase(), call, out),
            Text::Trim => self.made(input.trim().to_owned(), call, out),
            Text::ToChars => {
                self.budget.made(input.len(), input.len(), call.step.offset)?;
                out.extend(input.chars().map(|one| Item::String(one.to_string().into())));
                Ok(())
            }
            Text::Substring => self.substring(input, call, out),
            Text::Matches => self.matches(input, false, call, out),
            Text::MatchesFull => self.matches(input, true, call, out),
            Text::ReplaceMatches => self.replace_matches(input, call, out),
            Text::Replace => self.replace(input, call, out),
        }
    }

    pub(super) fn text_pair(
        &mut self,
        function: TextPair,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some(item) = call.single()? else { return Ok(()) };
        let input = text(item, call)?;
        self.budget.bytes(input.len(), call.step.offset)?;
        let Some(other) = self.text_argument(call, 0)? else { return Ok(()) };
        let position = |found: Option<usize>| match found {
            Some(at) => i32::try_from(input[..at].chars().count()).unwrap_or(i32::MAX),
            None => -1,
        };
        let made = match function {
            TextPair::Contains => Item::Boolean(input.contains(&other)),
            TextPair::StartsWith => Item::Boolean(input.starts_with(&other)),
            TextPair::EndsWith => Item::Boolean(input.ends_with(&other)),
            TextPair::IndexOf => Item::Integer(position(input.find(&other))),
            TextPair::LastIndexOf => Item::Integer(position(input.rfind(&other))),
            TextPair::Split => {
                self.budget.made(input.len(), input.len(), call.step.offset)?;
                let parts = input.split(other.as_str());
                out.extend(parts.map(|one| Item::String(one.to_owned().into())));
                return Ok(());
            }
            TextPair::Encode => return self.made_if(encode(input, &other), call, out),
            TextPair::Decode => return self.made_if(decode(input, &other), call, out),
            TextPair::Escape => return self.made_if(escape(input, &other), call, out),
            TextPair::Unescape => return self.made_if(unescape(input, &other), call, out),
        };
        out.push(made);
        Ok(())
    }

    fn matches(
        &mut self,
        input: &str,
        full: bool,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let regex = Pattern { flags: 1, full };
        if let Some(matched) = self.matched(call, &regex, |regex| regex.is_match(input))? {
            out.push(Item::Boolean(matched));
        }
        Ok(())
    }

    fn made_if(
        &mut self,
        text: Option<String>,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        text.map_or(Ok(()), |text| self.made(text, call, out))
    }

    fn made(&mut self, text: String, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        self.budget.bytes(text.len(), call.step.offset)?;
        out.push(Item::String(text.into()));
        Ok(())
    }

    /// The single string that an argument yields, if any.
    fn text_argument(&mut self, call: &Call<'_, 'a>, index: usize) -> Result<Option<String>> {
        let Some(argument) = call.arguments.get(index) else { return Ok(None) };
        let value = self.collect(argument, call.frame)?;
        let item = single(&value, call.name(), call.step.offset)?;
        item.map(|item| text(item, call).map(str::to_owned)).transpose()
    }

    fn join(&mut self, call: &Call<'_, 'a>, out: &mut Collection<'a>) -> Result<()> {
        let separator = self.text_argument(call, 0)?.unwrap_or_default();
        if call.input.is_empty() {
            return Ok(());
        }
        let mut joined = String::new();
        for (index, item) in call.input.iter().enumerate() {
            if index > 0 {
                joined.push_str(&separator);
            }
            joined.push_str(text(item, call)?);
            self.budget.bytes(joined.len(), call.step.offset)?;
        }
        self.made(joined, call, out)
    }

    fn substring(
        &mut self,
        input: &str,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some(start) = self.integer(call, 0)? else { return Ok(()) };
        let length = match call.arguments.get(1) {
            Some(_) => self.integer(call, 1)?,
            None => None,
        };
        let Ok(start) = usize::try_from(start) else { return Ok(()) };
        let Some((from, _)) = input.char_indices().nth(start) else { return Ok(()) };
        let rest = &input[from..];
        let length = length.map(|one| usize::try_from(one.max(0)).unwrap_or(usize::MAX));
        let end =
            length.and_then(|one| rest.char_indices().nth(one)).map_or(rest.len(), |one| one.0);
        self.made(rest[..end].to_owned(), call, out)
    }

    fn replace(
        &mut self,
        input: &str,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let wanted = self.text_argument(call, 0)?;
        let substitute = self.text_argument(call, 1)?;
        let (Some(wanted), Some(substitute)) = (wanted, substitute) else { return Ok(()) };
        // An empty pattern is found around every character; the result can outgrow the bound.
        let found = input.matches(&wanted).count();
        self.budget.bytes(input.len() + found * substitute.len(), call.step.offset)?;
        self.made(input.replace(&wanted, &substitute), call, out)
    }

    fn replace_matches(
        &mut self,
        input: &str,
        call: &Call<'_, 'a>,
        out: &mut Collection<'a>,
    ) -> Result<()> {
        let Some(substitute) = self.text_argument(call, 1)? else { return Ok(()) };
        let replaced = self.matched(call, &Pattern { flags: 2, full: false }, |regex| {
            // An empty pattern replaces nothing, unlike in `replace`.
            if regex.as_str().is_empty() {
                return (input.len(), input.to_owned());
            }
            let found = regex.find_iter(input).count();
            // Each `$name` in the substitute stands for at most the whole input.
            let references = substitute.matches('$').count();
            let bytes = input.len() + found * (substitute.len() + references * input.len());
            if bytes > super::STRING_BYTES_MAX {
                return (bytes, String::new());
            }
            (bytes, regex.replace_all(input, substitute.as_str()).into_owned())
        })?;
        let Some((bytes, text)) = replaced else { return Ok(()) };
        self.budget.bytes(bytes, call.step.offset)?;
        self.made(text, call, out)
    }

    /// Applies the regular expression that is the first argument, compiled now if it was not before.
    fn matched<T>(
        &mut self,
        call: &Call<'_, 'a>,
        wanted: &Pattern,
        apply: impl FnOnce(&Regex) -> T,
    ) -> Result<Option<T>> {
        if let Some(regex) = &call.step.pattern {
            return Ok(Some(apply(regex)));
        }
        let Some(source) = self.text_argument(call, 0)? else { return Ok(None) };
        let flags = self.text_argument(call, wanted.flags)?.unwrap_or_default();
        self.budget.spend(PATTERN_STEPS)?;
        match pattern(&source, &flags, wanted.full) {
            Some(regex) => Ok(Some(apply(&regex))),
            None => Err(EvaluationError::Type {
                text: "the regular expression is not understood, or too large".to_owned(),
                offset: call.step.offset,
            }),
        }
    }
}

/// How a function takes its regular expression.
struct Pattern {
    /// Which argument holds the flags.
    flags: usize,
    /// Whether the whole string must match.
    full: bool,
}
