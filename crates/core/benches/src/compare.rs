//! The cache beside other caches of its kind.
//!
//! ```text
//! cargo run --release --manifest-path crates/core/benches/Cargo.toml -- [question…] [--quick] [--json FILE]
//! ```
//!
//! Questions: `hit`, `miss`, `evict`, `mix`, `memory`, `worst`, `hot`; all of them where none is named. With
//! `--quick` everything is small and takes less than a minute; the figures that are wanted are about the full
//! sizes. Candidates take turns within one process, so the ratios hold on a machine that does other things
//! too; the numbers themselves do not.

mod candidates;
mod load;
mod measure;
mod memory;
mod questions;
mod wanted;

use std::process::ExitCode;

use candidates::Kind;
use measure::Results;
use questions::Effort;

const QUESTIONS: [&str; 7] = ["hit", "miss", "evict", "mix", "memory", "worst", "hot"];

struct Arguments {
    questions: Vec<&'static str>,
    effort: Effort,
    json: Option<String>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { questions: Vec::new(), effort: Effort { quick: false }, json: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.effort.quick = true,
            "--json" => arguments.json = Some(words.next().ok_or("--json needs a file")?),
            name => match QUESTIONS.iter().find(|question| **question == name) {
                Some(question) => arguments.questions.push(question),
                None => return Err(format!("{name}: not one of {}, --quick, --json", QUESTIONS.join(", "))),
            },
        }
    }
    if arguments.questions.is_empty() {
        arguments.questions = QUESTIONS.to_vec();
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [child, kind, entries] = &words[..]
        && child == "--child"
    {
        let (Some(kind), Ok(entries)) = (Kind::named(kind), entries.parse()) else {
            return ExitCode::FAILURE;
        };
        questions::memory_child(kind, entries);
        return ExitCode::SUCCESS;
    }
    let Arguments { questions, effort, json } = match parse(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let is_asked = |question: &str| questions.contains(&question);
    let mut results = Results::default();
    // First, in a process that has not allocated much yet.
    if is_asked("memory") {
        questions::memory(effort, &mut results);
    }
    // In this order: the last one throws out what the others look for.
    let single: Vec<&str> = ["hit", "miss", "evict"].into_iter().filter(|name| is_asked(name)).collect();
    if !single.is_empty() {
        questions::single(effort, &single, &mut results);
    }
    if is_asked("mix") {
        questions::mix(effort, &mut results);
    }
    if is_asked("hot") {
        questions::hot(effort, &mut results);
    }
    if is_asked("worst") {
        questions::worst(effort, &mut results);
    }
    wanted::print(&results, effort.quick);
    if let Some(file) = json
        && let Err(error) = std::fs::write(&file, results.json(effort.quick))
    {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
