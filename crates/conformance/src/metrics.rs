//! What a server answers at `/metrics`, read by hand.

use crate::client::Client;

/// The values of all metrics at one time.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// As it came.
    pub text: String,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: String,
}

impl Metrics {
    /// Asks as a scraper that knows OpenMetrics.
    ///
    /// # Panics
    /// If there is no answer, or it is not of that form.
    pub async fn of(server: &str, client: &Client) -> Self {
        let request = client.request(reqwest::Method::GET, &format!("{server}/metrics"));
        let reply = request.header("accept", "application/openmetrics-text").send().await;
        let reply = reply.expect(200);
        Self::read(String::from_utf8(reply.body.to_vec()).expect("UTF-8"))
    }

    fn read(text: String) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(Sample::read);
        let samples = samples.collect();
        Self { text, samples }
    }

    /// The sum of a metric over all labels that are not named.
    ///
    /// # Panics
    /// If it is not there at all, whatever the labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let values = self.values(name, labels);
        values.map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    /// The same, of a metric that counts.
    ///
    /// # Panics
    /// As [`Self::sum`], and if a value is no whole number.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let values = self.values(name, labels);
        values.map(|value| value.parse::<u64>().expect("a whole number")).sum()
    }

    fn values<'m>(
        &'m self,
        name: &'m str,
        labels: &'m [(&'m str, &'m str)],
    ) -> impl Iterator<Item = &'m str> {
        assert!(self.has(name), "there is no {name} in {}", self.text);
        let samples = self.samples.iter().filter(move |sample| sample.name == name);
        samples.filter(move |sample| sample.has(labels)).map(|sample| sample.value.as_str())
    }

    /// Whether a metric is there.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a name and a value");
        let (name, labels) = match series.split_once('{') {
            None => (series, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("closed braces")),
        };
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
            let (name, value) = label.split_once('=').expect("a name and a value");
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value: value.to_owned() }
    }

    fn has(&self, wanted: &[(&str, &str)]) -> bool {
        let is_there = |wanted: &(&str, &str)| {
            self.labels.iter().any(|(name, value)| (name.as_str(), value.as_str()) == *wanted)
        };
        wanted.iter().all(is_there)
    }
}
