//! Line plots as inline SVG, styled by the page that they stand in.

use std::fmt::Write;

/// A plot of one or more lines over a common axis.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What the plot shows, for those who do not see it.
    pub(crate) described: &'a str,
    pub(crate) x: Axis<'a>,
    pub(crate) y: Axis<'a>,
    pub(crate) lines: Vec<Line<'a>>,
}

/// An axis; its range comes from the values.
pub(crate) struct Axis<'a> {
    pub(crate) label: &'a str,
    pub(crate) scale: Scale,
    /// How a value is written.
    pub(crate) shown: fn(f64) -> String,
}

/// How values are laid out along an axis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten; for values above zero.
    Log,
}

/// A named line.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// More points than this are not seen apart.
const POINTS_MAX: usize = 700;

impl Plot<'_> {
    /// As a figure of HTML; nothing if there is nothing to show.
    pub(crate) fn figure(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        if points().count() < 2 {
            return String::new();
        }
        let x = Range::of(points().map(|(x, _)| *x), &self.x);
        let y = Range::of(points().map(|(_, y)| *y), &self.y);
        let (title, described) = (escape(self.title), escape(self.described));
        let mut svg = format!(
            "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{described}\">\n"
        );
        self.draw_axes(&mut svg, &x, &y);
        let mut labels = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            labels.extend(draw_line(&mut svg, line, number, &x, &y));
        }
        draw_labels(&mut svg, labels);
        svg.push_str("</svg></figure>\n");
        svg
    }

    // Writing to a String cannot fail.
    fn draw_axes(&self, svg: &mut String, x: &Range, y: &Range) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in y.ticks() {
            let (at, text) = (y_at(y, tick), escape(&(self.y.shown)(tick)));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        for tick in x.ticks() {
            let (at, text) = (x_at(x, tick), escape(&(self.x.shown)(tick)));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {bottom}v5\"/>\
                 <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 19.0
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
             <text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"label\" transform=\"translate(14 {:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 6.0,
            escape(self.x.label),
            f64::midpoint(TOP, bottom),
            escape(self.y.label)
        );
    }
}

/// Where a line's name goes: its height, its number, the name.
type Label<'a> = (f64, usize, &'a str);

fn draw_line<'a>(
    svg: &mut String,
    line: &'a Line<'_>,
    number: usize,
    x: &Range,
    y: &Range,
) -> Option<Label<'a>> {
    let (_, last) = *line.points.last()?;
    let every = line.points.len().div_ceil(POINTS_MAX).max(1);
    let mut path = String::new();
    // The most of each stretch, so that no peak disappears.
    for stretch in line.points.chunks(every) {
        let (at, _) = *stretch.first()?;
        let most = stretch.iter().map(|(_, value)| *value).fold(f64::MIN, f64::max);
        let command = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", x_at(x, at), y_at(y, most));
    }
    let _ = writeln!(svg, "<path class=\"line c{number}\" d=\"{path}\"/>");
    Some((y_at(y, last), number, line.name))
}

/// The names at the lines' ends, moved apart where they would lie on each other.
fn draw_labels(svg: &mut String, mut labels: Vec<Label<'_>>) {
    const STEP: f64 = 15.0;
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = f64::MIN;
    for (at, number, name) in labels {
        let at = at.max(free);
        free = at + STEP;
        let (x, y) = (WIDTH - RIGHT + 8.0, at + 4.0);
        let _ = writeln!(
            svg,
            "<text class=\"name c{number}\" x=\"{x}\" y=\"{y:.1}\">{}</text>",
            escape(name)
        );
    }
}

/// The values that an axis shows.
struct Range {
    low: f64,
    high: f64,
    scale: Scale,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>, axis: &Axis<'_>) -> Self {
        let (low, high) = values
            .filter(|value| axis.scale == Scale::Linear || *value > 0.0)
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        match axis.scale {
            Scale::Linear => {
                let high = if high > 0.0 { high } else { 1.0 };
                Self { low: 0.0, high: step(high) * (high / step(high)).ceil(), scale: axis.scale }
            }
            Scale::Log => {
                let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
                let low = 10_f64.powf(low.log10().floor());
                let high = 10_f64.powf(high.log10().ceil()).max(low * 10.0);
                Self { low, high, scale: axis.scale }
            }
        }
    }

    /// From 0 to 1 along the axis.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                let value = value.max(self.low);
                (value / self.low).log10() / (self.high / self.low).log10()
            }
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let (first, step) = (self.low, step(self.high));
        let next = |value: &f64| match self.scale {
            Scale::Linear => value + step,
            Scale::Log => value * 10.0,
        };
        let all = std::iter::successors(Some(first), |value| Some(next(value)));
        let ticks = all.take_while(|value| *value <= self.high * 1.0001).take(TICKS_MAX);
        // One power of ten alone has a line below and one above, and nothing to read between.
        let between = (self.scale == Scale::Log && self.high / first < 50.0)
            .then(|| [2.0, 5.0].map(|times| times * first));
        ticks.chain(between.into_iter().flatten()).collect()
    }
}

const TICKS_MAX: usize = 20;

/// A round number that goes into `high` four to ten times.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 4.0).log10().floor());
    match high / 4.0 / power {
        times if times >= 5.0 => 5.0 * power,
        times if times >= 2.0 => 2.0 * power,
        _ => power,
    }
}

fn x_at(x: &Range, value: f64) -> f64 {
    LEFT + x.share(value) * (WIDTH - LEFT - RIGHT)
}

fn y_at(y: &Range, value: f64) -> f64 {
    HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM)
}

/// A text for HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>, scale: Scale) -> String {
        let axis = || Axis { label: "a<b", scale, shown: |value| format!("{value}") };
        let lines = vec![Line { name: "x", points }];
        Plot { title: "t", described: "d", x: axis(), y: axis(), lines }.figure()
    }

    #[test]
    fn every_point_lies_inside() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = plot((1..2000).map(|x| (f64::from(x), f64::from(x * x))).collect(), scale);
            let path =
                svg.split("class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
            let numbers = path.split(['M', 'L', ' ']).filter(|text| !text.is_empty());
            let numbers: Vec<f64> = numbers.map(|text| text.parse().unwrap()).collect();
            assert!(numbers.len() > 100);
            assert!(numbers.chunks(2).all(|p| (0.0..=WIDTH).contains(&p[0])));
            assert!(numbers.chunks(2).all(|p| (0.0..=HEIGHT).contains(&p[1])));
            assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        }
    }

    #[test]
    fn there_is_no_plot_of_nothing() {
        assert_eq!(plot(vec![], Scale::Log), "");
        assert!(plot(vec![(0.0, 0.0), (1.0, 0.0)], Scale::Log).contains("</svg>"));
        assert!(plot(vec![(0.0, 0.0), (0.0, 0.0)], Scale::Linear).contains("</svg>"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        for high in [1.0, 3.0, 7.5, 99.0, 1e6, 1234.5, 0.02] {
            let values = [0.0, high].into_iter();
            let axis = Axis { label: "", scale: Scale::Linear, shown: |_| String::new() };
            let ticks = Range::of(values, &axis).ticks();
            assert!((4..=12).contains(&ticks.len()), "{high}: {ticks:?}");
            assert!(*ticks.last().unwrap() >= high * 0.999, "{high}: {ticks:?}");
        }
    }
}
