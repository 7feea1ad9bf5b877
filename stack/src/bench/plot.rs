//! Plots as SVG, written by hand: bars by row and lines over an axis. Pure.

use std::fmt::Write;

use super::figure::{Curve, Figure};

/// Width of a plot, in pixels.
const WIDTH: f64 = 760.0;
/// Height of a plot.
const HEIGHT: f64 = 400.0;
/// What is left of the axes for their labels.
const LEFT: f64 = 70.0;
/// What is above them for title and legend.
const TOP: f64 = 64.0;
/// What is below them for labels.
const BOTTOM: f64 = 50.0;
/// What is right of them.
const RIGHT: f64 = 16.0;
/// The unit of a time on the axis of x.
pub(super) const SECONDS: &str = "seconds";
/// How many labels the axis of x has at most.
const MOST_MARKS: usize = 10;
/// One colour for each program; they are told apart in grey, too.
const COLOURS: [&str; 6] = [
    "#b5442e", "#2f6f4f", "#3b5b92", "#c79a3b", "#777777", "#8a5a83",
];

/// A plot of lines; x goes by its logarithm, for numbers of connections, unless it is a time.
pub(super) fn lines(curve: &Curve) -> String {
    let points = || curve.lines.iter().flat_map(|line| &line.points);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let least_x = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let most_x = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let scaled = |x: f64| if curve.x == SECONDS { x } else { x.ln() };
    let span = (scaled(most_x) - scaled(least_x)).max(f64::MIN_POSITIVE);
    let top = ceiling(most);
    let width = WIDTH - LEFT - RIGHT;
    let at_x = |x: f64| LEFT + width * ((scaled(x) - scaled(least_x)) / span);
    let names: Vec<_> = curve.lines.iter().map(|line| line.who.as_str()).collect();
    let mut svg = frame(&curve.title, &curve.y, top, &names);
    let mut marks: Vec<f64> = points().map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    let step = marks.len().div_ceil(MOST_MARKS).max(1);
    for x in marks.into_iter().step_by(step) {
        label(
            &mut svg,
            at_x(x),
            HEIGHT - BOTTOM + 18.0,
            "middle",
            &digits(x.round()),
        );
    }
    label(&mut svg, WIDTH / 2.0, HEIGHT - 10.0, "middle", &curve.x);
    for (number, line) in curve.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut path = String::new();
        for (x, y) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", at_x(*x), at_y(*y, top));
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.trim_end()
        );
        for (x, y) in &line.points {
            let (x, y) = (at_x(*x), at_y(*y, top));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A plot of bars: the median of each program, one group for each figure.
pub(super) fn bars(title: &str, unit: &str, figures: &[&Figure]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for column in figures.iter().flat_map(|figure| &figure.columns) {
        if !names.contains(&column.who.as_str()) {
            names.push(&column.who);
        }
    }
    let medians = figures
        .iter()
        .flat_map(|figure| names.iter().filter_map(|who| figure.median(who)));
    let top = ceiling(medians.fold(0.0, f64::max));
    let mut svg = frame(title, unit, top, &names);
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let group = (WIDTH - LEFT - RIGHT) / count(figures.len().max(1));
    let bar = group * 0.8 / count(names.len().max(1));
    for (index, figure) in figures.iter().enumerate() {
        let begin = LEFT + group * (count(index) + 0.1);
        label(
            &mut svg,
            begin + group * 0.4,
            HEIGHT - BOTTOM + 18.0,
            "middle",
            &figure.row,
        );
        for (number, who) in names.iter().enumerate() {
            let Some(median) = figure.median(who) else {
                continue;
            };
            let y = at_y(median, top);
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                begin + bar * count(number),
                bar * 0.9,
                HEIGHT - BOTTOM - y,
                COLOURS[number % COLOURS.len()]
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Background, title, legend, and the axis of y with four lines across.
fn frame(title: &str, unit: &str, top: f64, names: &[&str]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"15\" fill=\"#222222\">{} ({})</text>",
        escaped(title),
        escaped(unit)
    );
    let mut x = LEFT;
    for (number, name) in names.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.0}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        label(&mut svg, x + 17.0, 44.0, "start", name);
        x += 40.0 + 7.0 * f64::from(u32::try_from(name.chars().count()).unwrap_or(u32::MAX));
    }
    for quarter in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = at_y(top * quarter, top);
        let right = WIDTH - RIGHT;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>"
        );
        label(&mut svg, LEFT - 8.0, y + 4.0, "end", &digits(top * quarter));
    }
    svg
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#444444\">{text}</text>"
    );
}

fn at_y(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / top)
}

/// The end of an axis: the next of 1, 2, 4, 6, 8 or 10 times a power of ten.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= most);
    step.unwrap_or(10.0) * power
}

/// A number as short as it can be said.
fn digits(value: f64) -> String {
    match value {
        large if large >= 10_000.0 => format!("{}k", large / 1000.0),
        other => {
            let text = format!("{other:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Column, Line};
    use super::*;

    #[test]
    fn bars_have_one_rectangle_for_each_median() {
        let column = |who: &str, value| Column {
            who: who.to_owned(),
            rounds: vec![value],
        };
        let one = Figure::new("a<b", "µs", vec![column("x", 10.0), column("y", 20.0)]);
        let two = Figure::new("c", "µs", vec![column("x", 5.0)]);
        let svg = bars("T", "µs", &[&one, &two]);
        // Three bars, two of the legend, the background.
        assert_eq!(svg.matches("<rect").count(), 6);
        assert!(svg.contains("a&lt;b"));
        // The tallest ends at the top of the axis, which is 20.
        assert!(svg.contains("y=\"64.0\""), "{svg}");
    }

    #[test]
    fn lines_go_from_edge_to_edge() {
        let curve = Curve {
            name: "n".to_owned(),
            title: "T".to_owned(),
            x: "connections".to_owned(),
            y: "requests/s".to_owned(),
            lines: vec![Line {
                who: "x".to_owned(),
                points: vec![(1.0, 100.0), (256.0, 0.0)],
            }],
        };
        let svg = lines(&curve);
        assert!(svg.contains("points=\"70.0,64.0 744.0,350.0\""), "{svg}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.0, 13.0, 20.0, 41_000.0, 0.7].map(ceiling),
            [1.0, 20.0, 20.0, 60_000.0, 0.8]
        );
        assert_eq!([0.25, 20.0, 15_000.0].map(digits), ["0.25", "20", "15k"]);
    }
}
