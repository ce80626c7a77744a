//! Small charts of what happened lately, as SVG paths.

use std::fmt::Write as _;

use crate::samples::KEPT_MAX;
use crate::text;

/// The box that a chart is drawn in.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 56.0;

/// A chart and what it says in words.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) latest: String,
    pub(crate) most: String,
    /// The line.
    pub(crate) line: String,
    /// What is below it.
    pub(crate) area: String,
}

impl Chart {
    /// A chart of values, oldest first; the newest stands at the right edge.
    pub(crate) fn new(title: &'static str, values: &[f64]) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max);
        let scale = if most > 0.0 { (HEIGHT - 4.0) / most } else { 0.0 };
        let step = WIDTH / (KEPT_MAX - 1) as f64;
        let start = WIDTH - step * values.len().saturating_sub(1) as f64;
        let mut line = String::new();
        for (index, value) in values.iter().enumerate() {
            let (x, y) = (start + step * index as f64, HEIGHT - 2.0 - value * scale);
            let command = if index == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _written = write!(line, "{command}{x:.1} {y:.1}");
        }
        let area = match values.is_empty() {
            true => String::new(),
            false => format!("{line}L{WIDTH:.1} {HEIGHT}L{start:.1} {HEIGHT}Z"),
        };
        let latest = text::rate(values.last().copied().unwrap_or_default());
        Self { title, latest, most: text::rate(most), line, area }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_stands_at_the_right_edge_and_the_highest_at_the_top() {
        let chart = Chart::new("x", &[0.0, 5.0, 20.0]);
        assert_eq!(chart.line, "M296.0 54.0L298.0 41.0L300.0 2.0");
        assert_eq!((chart.latest.as_str(), chart.most.as_str()), ("20", "20"));
    }

    #[test]
    fn nothing_that_happened_is_a_line_at_the_bottom() {
        assert_eq!(Chart::new("x", &[0.0, 0.0]).line, "M298.0 54.0L300.0 54.0");
        assert_eq!(Chart::new("x", &[]).area, "");
    }
}
