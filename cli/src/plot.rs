//! Pictures of numbers: in braille for terminals, as SVG for files.

pub mod chart;
mod dots;
pub mod scatter;
pub mod svg;

/// The next larger of some numbers from 1 on, times a power of ten; 1 for nothing.
pub fn round_up(x: f64, numbers: &[f64]) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(x.log10().floor());
    let mut numbers = numbers.iter().map(|number| number * power);
    numbers.find(|number| *number >= x).unwrap_or(10.0 * power)
}

/// Round numbers along an axis, at most `most` and two at least, that lie in a range of finite
/// numbers; its ends if it is a point or too wide for doubles.
pub fn ticks(range: [f64; 2], most: u32) -> Vec<f64> {
    let [low, high] = range;
    let step = round_up((high - low) / f64::from(most.max(2)), &[1.0, 2.0, 5.0]);
    if high <= low || !step.is_finite() {
        return vec![low, high];
    }
    let first = (low / step - 1e-9).ceil();
    let steps = (0..most.max(2)).map(|i| (first + f64::from(i)) * step);
    let within: Vec<f64> = steps.take_while(|at| *at <= high + 1e-9 * step).collect();
    if within.len() < 2 { vec![low, high] } else { within }
}

/// In few characters, without a tail of zeros.
pub fn number(x: f64) -> String {
    match x.abs() {
        size if size == 0.0 || (1e-3..1e6).contains(&size) => {
            let text = format!("{x:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{x:.1e}").replace(".0e", "e"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!([0.0, 0.3, 2.302, 7.0].map(|x| round_up(x, &[1.0, 4.0])), [1.0, 0.4, 4.0, 10.0]);
        assert_eq!([0.25, 1.0, 0.0, 1e-3].map(number), ["0.25", "1", "0", "0.001"]);
        assert_eq!([2e-7, -1.25e8].map(number), ["2e-7", "-1.2e8"]);
    }

    #[test]
    fn ticks_lie_in_the_range() {
        assert_eq!(ticks([0.0, 1.0], 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8]);
        assert_eq!(ticks([-3.0, 12.0], 6), [0.0, 5.0, 10.0]);
        assert_eq!(ticks([2.0, 2.0], 5), [2.0, 2.0]);
        assert_eq!(ticks([-1e308, 1.7e308], 5), [-1e308, 1.7e308]);
    }
}
