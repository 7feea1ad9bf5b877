//! Writes the measured tables into `docs/performance.md`, between two marks, and copies the plots beside it.

use std::path::Path;

use super::record::Record;
use super::rounds::{CPU, P50, P99, RATE};
use super::{drawn, table};
use crate::Fault;

/// The page.
const PAGE: &str = "docs/performance.md";
/// The folder of its plots.
const PLOTS: &str = "docs/plots";
/// What stands before the tables.
const BEGIN: &str = "<!-- bench: written by `make bench-docs` -->";
/// What stands behind them.
const END: &str = "<!-- /bench -->";

/// Replaces the tables by those of the folder's records.
pub(super) async fn write(folder: &Path) -> Result<(), Fault> {
    let records = Record::load(folder).await?;
    if records.is_empty() {
        return Err(Fault::new(format!(
            "nothing is measured in {}: run `make bench` first",
            folder.display()
        )));
    }
    let failed = |what: &str, error| Fault::new(format!("{what}: {error}"));
    let page = tokio::fs::read_to_string(PAGE).await;
    let page = page.map_err(|error| failed(PAGE, error))?;
    let page = replaced(&page, &section(&records))
        .ok_or_else(|| Fault::new(format!("{PAGE} has no line {BEGIN}")))?;
    tokio::fs::create_dir_all(PLOTS)
        .await
        .map_err(|error| failed(PLOTS, error))?;
    for (name, svg) in drawn(&records) {
        let file = Path::new(PLOTS).join(name);
        let written = tokio::fs::write(&file, svg).await;
        written.map_err(|error| failed(PLOTS, error))?;
    }
    let written = tokio::fs::write(PAGE, page).await;
    written.map_err(|error| failed(PAGE, error))
}

/// The tables and plots as a part of the page.
fn section(records: &[Record]) -> String {
    let mut text = String::new();
    let mut machines: Vec<String> = Vec::new();
    for record in records {
        let machine = format!("{} ({})", record.machine.described(), record.method);
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    for machine in machines {
        text.push_str(&format!("{machine}\n\n"));
    }
    text.push_str("Median (least to most); ×N is how many times the peer's median ours is.\n");
    let latency = |unit: &str| unit == P50 || unit == P99;
    let many = |row: &str| row.contains("connections") && !row.starts_with("api-list");
    let figures = || records.iter().flat_map(|record| &record.figures);
    let cost = figures().filter(|f| f.unit == CPU && !many(&f.row));
    let other = figures().filter(|f| ![CPU, RATE, P50, P99].contains(&f.unit.as_str()));
    let rate = figures().filter(|f| (f.unit == RATE || latency(&f.unit)) && !many(&f.row));
    let by_connections = figures().filter(|f| many(&f.row) && (f.unit == CPU || f.unit == RATE));
    for (title, rows) in [
        ("Cost", table::table(cost)),
        ("Memory, handshakes and the long list", table::table(other)),
        (
            "By number of connections and instances",
            table::table(by_connections),
        ),
        (
            "Throughput and latency (shown, not judged)",
            table::table(rate),
        ),
    ] {
        // A head and a rule alone are no table.
        if rows.lines().count() > 2 {
            text.push_str(&format!("\n### {title}\n\n{rows}"));
        }
    }
    let plots: Vec<_> = drawn(records).into_iter().map(|(name, _)| name).collect();
    if !plots.is_empty() {
        text.push_str("\n### Plots\n\n");
    }
    for name in plots {
        let title = name.trim_end_matches(".svg").replace('-', " ");
        text.push_str(&format!("![{title}](plots/{name})\n"));
    }
    for remark in records.iter().flat_map(|record| &record.remarks) {
        text.push_str(&format!("\n{remark}.\n"));
    }
    text
}

/// The page with another text between the marks; `None` if it has no marks.
fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        text.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("# A\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replaced(&page, "new").unwrap();
        assert_eq!(new, format!("# A\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(replaced(&new, "new").unwrap(), new);
        assert_eq!(replaced("# A\n", "new"), None);
    }

    #[test]
    fn the_page_has_the_marks() {
        assert!(replaced(include_str!("../../../docs/performance.md"), "x").is_some());
    }
}
