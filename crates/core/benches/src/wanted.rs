//! The figures that are wanted, beside those that were found.

use crate::measure::Results;

fn line(text: &str, found: f64, limit: f64, at_most: bool) {
    let met = if at_most { found <= limit } else { found >= limit };
    let verdict = if met { "met" } else { "NOT MET" };
    println!("  {text:78} {found:>8.2}  {verdict}");
}

pub fn print(results: &Results, quick: bool) {
    println!("\nWanted{}", if quick { " (of the full sizes; these are small)" } else { "" });
    for ours in ["ours", "ours, TTL"] {
        for case in results.cases("hit") {
            let hit = |name| results.row("hit", &case, name).map(|row| row.ratio);
            let Some(own) = hit(ours) else { continue };
            for (other, factor) in [("DashMap", 1.3), ("DashMap, foldhash", 1.3)] {
                let Some(ratio) = hit(other) else { continue };
                line(&format!("hit, {case}: {ours} / {other}, at most {factor}"), own / ratio, factor, true);
            }
            for other in ["moka", "mini-moka"] {
                let Some(ratio) = hit(other) else { continue };
                line(&format!("hit, {case}: {other} / {ours}, at least 3"), ratio / own, 3.0, false);
            }
        }
    }
    for case in results.cases("evict") {
        for (other, factor) in [("moka", 1.0), ("quick_cache", 1.5)] {
            let Some(row) = results.row("evict", &case, other) else { continue };
            let text = format!("insert with eviction, {case}: ours / {other}, at most {factor}");
            line(&text, 1.0 / row.ratio, factor, true);
        }
    }
    let cases = results.cases("evict");
    if let (Some(first), Some(last)) = (cases.first(), cases.last())
        && let (Some(small), Some(large)) =
            (results.median("evict", first, "ours"), results.median("evict", last, "ours"))
    {
        line(&format!("insert with eviction: {last} / {first}, at most 6"), large / small, 6.0, true);
    }
    for case in results.cases("worst insert").iter().filter(|case| case.ends_with("worst")) {
        let Some(us) = results.median("worst insert", case, "ours") else { continue };
        line(&format!("{case}, ms, at most 10"), us / 1_000.0, 10.0, true);
    }
}
