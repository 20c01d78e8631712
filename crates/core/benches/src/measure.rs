//! Rounds, medians, and the tables that they are printed in.

use std::fmt::Write as _;

/// What was measured of one candidate, one number a round.
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn new(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self(rounds)
    }

    /// The number below which `part` (from 0 to 1) of all lie.
    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Measures each of `count` candidates once a round, in an order that turns with the rounds, so that what
/// else the machine does meets all alike. The first round is for warming up.
pub fn interleave(count: usize, rounds: usize, mut measure: impl FnMut(usize, usize) -> f64) -> Vec<Samples> {
    let mut all = vec![Vec::with_capacity(rounds); count];
    for round in 0..=rounds {
        for step in 0..count {
            let candidate = (round + step) % count;
            let value = measure(round, candidate);
            if round > 0 {
                all[candidate].push(value);
            }
        }
    }
    all.into_iter().map(Samples::new).collect()
}

/// One line of the results.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was asked, such as `hit`.
    pub question: &'static str,
    /// With what: entries, threads.
    pub case: String,
    pub candidate: &'static str,
    pub unit: &'static str,
    pub median: f64,
    pub p25: f64,
    pub p75: f64,
    /// The median over that of ours in the same rounds.
    pub ratio: f64,
}

impl Row {
    pub fn new(
        question: &'static str,
        case: &str,
        candidate: &'static str,
        unit: &'static str,
        samples: &Samples,
        ours: f64,
    ) -> Self {
        Self {
            question,
            case: case.to_owned(),
            candidate,
            unit,
            median: samples.median(),
            p25: samples.quantile(0.25),
            p75: samples.quantile(0.75),
            ratio: samples.median() / ours,
        }
    }

    /// A single number.
    pub fn plain(
        question: &'static str,
        case: &str,
        candidate: &'static str,
        unit: &'static str,
        value: f64,
        ours: f64,
    ) -> Self {
        Self::new(question, case, candidate, unit, &Samples::new(vec![value]), ours)
    }
}

/// Everything that was found out.
#[derive(Default)]
pub struct Results(Vec<Row>);

impl Results {
    /// Takes the rows in, and prints them as a table.
    pub fn add(&mut self, rows: Vec<Row>) {
        let Some(Row { question, case, unit, .. }) = rows.first() else { return };
        println!("\n{question}, {case}, in {unit}");
        println!("  {:20} {:>12} {:>24} {:>14}", "", "median", "p25 .. p75", "ratio to ours");
        for row in &rows {
            let spread = format!("{} .. {}", number(row.p25), number(row.p75));
            let ratio = format!("{:.2}", row.ratio);
            println!("  {:20} {:>12} {:>24} {:>14}", row.candidate, number(row.median), spread, ratio);
        }
        self.0.extend(rows);
    }

    /// The median of `candidate` in a case.
    pub fn median(&self, question: &str, case: &str, candidate: &str) -> Option<f64> {
        self.row(question, case, candidate).map(|row| row.median)
    }

    pub fn row(&self, question: &str, case: &str, candidate: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.question == question && row.case == case && row.candidate == candidate)
    }

    /// The cases of a question, in the order in which they were measured.
    pub fn cases(&self, question: &str) -> Vec<String> {
        let mut cases: Vec<String> = Vec::new();
        for row in self.0.iter().filter(|row| row.question == question) {
            if !cases.contains(&row.case) {
                cases.push(row.case.clone());
            }
        }
        cases
    }

    /// The rows as JSON. No text in them needs an escape.
    pub fn json(&self, quick: bool) -> String {
        let mut text = format!("{{\n  \"quick\": {quick},\n  \"rows\": [\n");
        for (at, row) in self.0.iter().enumerate() {
            let comma = if at + 1 == self.0.len() { "" } else { "," };
            let Row { question, case, candidate, unit, median, p25, p75, ratio } = row;
            let ratio = if ratio.is_finite() { ratio.to_string() } else { "null".to_owned() };
            let _ = writeln!(
                text,
                "    {{ \"question\": \"{question}\", \"case\": \"{case}\", \"candidate\": \"{candidate}\", \
                 \"unit\": \"{unit}\", \"median\": {median}, \"p25\": {p25}, \"p75\": {p75}, \
                 \"ratio\": {ratio} }}{comma}"
            );
        }
        text.push_str("  ]\n}\n");
        text
    }
}

/// Four digits or so.
fn number(value: f64) -> String {
    match value {
        value if value.abs() < 1_000.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
