//! What is asked of the candidates.

use std::hint::black_box;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::candidates::{Candidate, Kind};
use crate::load::{Keys, Random, VALUE, Zipf, key};
use crate::measure::{Results, Row, Samples, interleave};
use crate::memory;

/// Keys of misses: none is ever written.
const ABSENT: u64 = 1 << 50;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub quick: bool,
}

impl Effort {
    fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Numbers of entries.
    fn sizes(self) -> &'static [usize] {
        self.pick(&[10_000, 1_000_000, 10_000_000], &[10_000, 100_000])
    }
}

fn fill(candidate: &dyn Candidate, entries: usize) {
    let value = [7; VALUE];
    for from in (0..entries).step_by(50_000) {
        let to = entries.min(from + 50_000);
        candidate.writes(&Keys::new((from as u64)..(to as u64)), &value);
    }
    candidate.settle();
}

fn ns_each(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// The rows of candidates measured in the same rounds, of which the first is ours.
fn rows(question: &'static str, case: &str, kinds: &[Kind], samples: &[Samples]) -> Vec<Row> {
    let ours = samples.first().map_or(f64::NAN, Samples::median);
    kinds
        .iter()
        .zip(samples)
        .map(|(kind, samples)| Row::new(question, case, kind.name(), "ns an operation", samples, ours))
        .collect()
}

/// Hits, misses, and inserts that evict, one thread, at each number of entries.
pub fn single(effort: Effort, questions: &[&'static str], results: &mut Results) {
    for &entries in effort.sizes() {
        // Of the large ones no more than two at a time fit in the memory of a common machine.
        let groups: Vec<Vec<Kind>> = if entries <= 1_000_000 {
            vec![Kind::ALL.to_vec()]
        } else {
            Kind::ALL[1..].iter().map(|&other| vec![Kind::Ours, other]).collect()
        };
        let mut found: Vec<Row> = Vec::new();
        for kinds in groups {
            let all: Vec<_> = kinds.iter().map(|kind| kind.make(entries)).collect();
            for candidate in &all {
                fill(&**candidate, entries);
            }
            for &question in questions {
                found.extend(one_thread(effort, question, entries, &kinds, &all));
            }
        }
        for &question in questions {
            // Ours was measured beside each of the others; the first time is shown.
            let mut table: Vec<Row> = Vec::new();
            for row in found.iter().filter(|row| row.question == question) {
                if table.iter().all(|other| other.candidate != row.candidate) {
                    table.push(row.clone());
                }
            }
            results.add(table);
        }
    }
}

/// `all` hold the keys from 0 to `entries`; the last question may be the one that evicts them.
fn one_thread(
    effort: Effort,
    question: &'static str,
    entries: usize,
    kinds: &[Kind],
    all: &[Box<dyn Candidate>],
) -> Vec<Row> {
    let case = format!("{entries} entries");
    let rounds = effort.pick(41, 11);
    let count = effort.pick(50_000, 20_000);
    let evicts = question == "evict";
    let chosen: Vec<usize> = (0..all.len()).filter(|&at| !evicts || kinds[at].evicts()).collect();
    let kinds: Vec<Kind> = chosen.iter().map(|&at| kinds[at]).collect();
    let value = [9; VALUE];
    let mut random = Random(entries as u64);
    let mut fresh = entries as u64;
    let mut draw = || {
        let batch = match question {
            "hit" => Keys::new((0..count).map(|_| random.below(entries as u64))),
            "miss" => Keys::new((0..count).map(|_| ABSENT + random.below(entries as u64))),
            _ => Keys::new(fresh..fresh + count as u64),
        };
        fresh += count as u64;
        batch
    };
    // The first batch of a turn is not timed: it brings back what the others have put out of the processor's
    // caches.
    let (mut batches, mut batches_of) = ([draw(), draw()], 0);
    let samples = interleave(chosen.len(), rounds, |round, at| {
        if batches_of != round {
            (batches, batches_of) = ([draw(), draw()], round);
        }
        let candidate = &all[chosen[at]];
        let mut ns = 0.0;
        for batch in &batches {
            let start = Instant::now();
            if evicts {
                candidate.writes(batch, &value);
                ns = ns_each(start, count);
                continue;
            }
            let hits = candidate.reads(batch);
            ns = ns_each(start, count);
            // Caches of shards that are bounded one by one lose a few before they are full.
            let is_right = if question == "hit" { hits * 100 >= count * 90 } else { hits == 0 };
            assert!(is_right, "{}, {question}: {hits} hits", kinds[at].name());
        }
        ns
    });
    rows(question, &case, &kinds, &samples)
}

/// What a thread does in one round of a mix.
struct Script {
    keys: Keys,
    is_write: Vec<bool>,
}

/// Reads and writes of Zipf-distributed keys, of which a tenth fits, by 1, 2 and 4 threads.
pub fn mix(effort: Effort, results: &mut Results) {
    let capacity = effort.pick(100_000, 10_000);
    let rounds = effort.pick(21, 7);
    let count: usize = effort.pick(200_000, 20_000);
    let zipf = Zipf::new(capacity * 10);
    let value = [5; VALUE];
    for (name, writes) in [("95/5", 0.05), ("50/50", 0.5)] {
        let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.make(capacity)).collect();
        for candidate in &all {
            fill(&**candidate, capacity);
        }
        for threads in [1, 2, 4] {
            let mut random = Random(threads as u64);
            let mut draw = || -> Vec<Script> {
                let each = count / threads;
                (0..threads)
                    .map(|_| Script {
                        keys: Keys::new((0..each).map(|_| zipf.draw(&mut random))),
                        is_write: (0..each).map(|_| random.part() < writes).collect(),
                    })
                    .collect()
            };
            let (mut turns, mut turns_of) = ([draw(), draw()], 0);
            let samples = interleave(all.len(), rounds, |round, at| {
                if turns_of != round {
                    (turns, turns_of) = ([draw(), draw()], round);
                }
                // As above: the first for warming up.
                let times = turns.each_ref().map(|scripts| {
                    together(scripts, |script| all[at].mix(&script.keys, &script.is_write, &value))
                });
                times[1].as_nanos() as f64 / count as f64
            });
            let case = format!("{name}, {threads} threads");
            results.add(rows("mix", &case, Kind::ALL, &samples));
        }
    }
}

/// Does `work` with each script in a thread of its own, and says how long it took from the moment at which
/// all had begun.
fn together(scripts: &[Script], work: impl Fn(&Script) + Sync) -> Duration {
    let barrier = Barrier::new(scripts.len() + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = scripts
            .iter()
            .map(|script| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    let begin = Instant::now();
                    work(script);
                    (begin, Instant::now())
                })
            })
            .collect();
        barrier.wait();
        let times: Vec<(Instant, Instant)> =
            workers.into_iter().map(|worker| worker.join().expect("no candidate panics")).collect();
        let begin = times.iter().map(|&(begin, _)| begin).min();
        let end = times.iter().map(|&(_, end)| end).max();
        begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end - begin)
    })
}

/// One writer beside 8 readers of one hot key with values of 4 KiB.
pub fn hot(effort: Effort, results: &mut Results) {
    const READERS: usize = 8;
    let rounds = effort.pick(9, 3);
    let span = Duration::from_millis(effort.pick(300, 40));
    let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.make(10_000)).collect();
    let hot = key(0);
    let value = [3; 4_096];
    for candidate in &all {
        candidate.writes(&Keys::new(0..10_000), &value);
        candidate.settle();
    }
    for same in [true, false] {
        let mut reads = vec![Vec::new(); all.len()];
        let writes = interleave(all.len(), rounds, |round, at| {
            let candidate = &all[at];
            candidate.write(&hot, &value);
            let stop = AtomicBool::new(false);
            let read = AtomicU64::new(0);
            let (rate, seconds) = thread::scope(|scope| {
                for _ in 0..READERS {
                    scope.spawn(|| {
                        let mut count = 0;
                        while !stop.load(Ordering::Relaxed) {
                            black_box(candidate.read(&hot));
                            count += 1;
                        }
                        read.fetch_add(count, Ordering::Relaxed);
                    });
                }
                let keys = Keys::new(1..1_001);
                let others: Vec<&[u8]> = keys.iter().collect();
                let start = Instant::now();
                let mut written = 0;
                while start.elapsed() < span {
                    let key = if same { &hot } else { others[written % others.len()] };
                    candidate.write(key, &value);
                    written += 1;
                }
                // Much longer than the span where the readers keep the writer out.
                let seconds = start.elapsed().as_secs_f64();
                stop.store(true, Ordering::Relaxed);
                (written as f64 / seconds, seconds)
            });
            if round > 0 {
                reads[at].push(read.into_inner() as f64 / seconds);
            }
            rate
        });
        let reads: Vec<Samples> = reads.into_iter().map(Samples::new).collect();
        let case = if same { "the writer writes the hot key" } else { "the writer writes other keys" };
        for (question, unit, samples) in
            [("hot writes", "writes a second", &writes), ("hot reads", "reads a second", &reads)]
        {
            let ours = samples[0].median();
            let rows = Kind::ALL
                .iter()
                .zip(samples)
                .map(|(kind, samples)| Row::new(question, case, kind.name(), unit, samples, ours))
                .collect();
            results.add(rows);
        }
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// What is told of the times of many operations, and how far from the longest it lies.
const TAIL: [(&str, f64); 3] = [("worst", 0.0), ("99.99 %", 0.0001), ("median", 0.5)];

/// The times of single operations in us, as [`TAIL`] says: on the wall clock, and in the thread's own time, which
/// what else the machine does cannot lengthen (but for what it takes from shared caches).
fn tail(numbers: std::ops::Range<u64>, mut operation: impl FnMut(&[u8])) -> [[f64; TAIL.len()]; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut from = numbers.start;
    while from < numbers.end {
        let to = numbers.end.min(from + 50_000);
        for key in Keys::new(from..to).iter() {
            let (wall, cpu) = (Instant::now(), cpu_ns());
            operation(key);
            let (cpu, wall) = (cpu_ns() - cpu, wall.elapsed());
            times[0].push(u32::try_from(wall.as_nanos()).unwrap_or(u32::MAX));
            times[1].push(u32::try_from(cpu).unwrap_or(u32::MAX));
        }
        from = to;
    }
    times.map(|mut times| {
        times.sort_unstable();
        let last = times.len() - 1;
        TAIL.map(|(_, part)| f64::from(times[last - (last as f64 * part) as usize]) / 1_000.0)
    })
}

/// The worst single insert: while a cache grows to its bound, and at it.
pub fn worst(effort: Effort, results: &mut Results) {
    let entries: u64 = effort.pick(10_000_000, 100_000);
    let more: u64 = effort.pick(2_000_000, 50_000);
    let value = [1; VALUE];
    let phases = [("growing", 0..entries), ("evicting", entries..entries + more)];
    let mut found: Vec<(&'static str, [_; 2])> = Vec::new();
    // What the clocks and the machine do by themselves.
    let nothing = |key: &[u8]| {
        black_box(key);
    };
    found.push(("(nothing)", phases.clone().map(|(_, keys)| tail(keys, nothing))));
    for &kind in Kind::ALL.iter().filter(|kind| kind.evicts()) {
        let candidate = kind.make(entries as usize);
        let tails = phases.clone().map(|(_, keys)| tail(keys, |key| candidate.write(key, &value)));
        found.push((kind.name(), tails));
    }
    for (phase, (phase_name, _)) in phases.iter().enumerate() {
        for (clock, clock_name) in ["wall", "CPU"].iter().enumerate() {
            for (part, (part_name, _)) in TAIL.iter().enumerate() {
                let pick = |tails: &[[[f64; 3]; 2]; 2]| tails[phase][clock][part];
                let ours = found.iter().find(|(name, _)| *name == "ours");
                let ours = ours.map_or(f64::NAN, |(_, tails)| pick(tails));
                let case = format!("{phase_name}, {entries} entries, {clock_name} time, {part_name}");
                let row = |(name, tails): &(&'static str, [[[f64; 3]; 2]; 2])| {
                    Row::plain("worst insert", &case, name, "us", pick(tails), ours)
                };
                results.add(found.iter().map(row).collect());
            }
        }
    }
}

/// Bytes an entry, each candidate in a process of its own.
pub fn memory(effort: Effort, results: &mut Results) {
    let entries: usize = effort.pick(1_000_000, 200_000);
    let program = std::env::current_exe().expect("a running program has a path");
    let mut found: Vec<(&'static str, [f64; 3])> = Vec::new();
    for kind in Kind::ALL {
        let output = Command::new(&program)
            .args(["--child", kind.name(), &entries.to_string()])
            .output()
            .expect("this program can be started again");
        assert!(output.status.success(), "{}: {}", kind.name(), String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let numbers: [f64; 3] = numbers.try_into().expect("the child prints three numbers");
        found.push((kind.name(), numbers));
    }
    for (at, by) in ["asked of the allocator", "usable size of the blocks", "resident"].iter().enumerate() {
        let case = format!("{entries} entries, {by}");
        let ours = found[0].1[at];
        let row = |(name, numbers): &(&'static str, [f64; 3])| {
            Row::plain("memory", &case, name, "bytes an entry", numbers[at], ours)
        };
        results.add(found.iter().map(row).collect());
    }
}

/// The part of [`memory`] that runs in a process of its own.
pub fn memory_child(kind: Kind, entries: usize) {
    memory::count();
    let value = [7; VALUE];
    let before = memory::usage();
    let candidate = kind.make(entries);
    for number in 0..entries as u64 {
        candidate.write(&key(number), &value);
    }
    candidate.settle();
    let after = memory::usage();
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / entries as f64;
    println!(
        "{} {} {}",
        each(after.requested, before.requested),
        each(after.usable, before.usable),
        each(after.resident, before.resident)
    );
}
