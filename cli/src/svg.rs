//! What pictures have in common.

/// Told apart by most eyes, on white: M. Okabe and K. Ito, "Color Universal Design", 2008, without
/// the yellow, and three more for the deepest networks.
pub const COLOURS: [&str; 10] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#7b3294",
    "#8c510a", "#a6d854",
];

/// The beginning of a picture: its size, its letters, a white ground.
pub fn head(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"#333333\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    )
}

/// The next larger of some numbers from 1 on, times a power of ten; 1 for nothing.
pub fn round_up(x: f64, numbers: &[f64]) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(x.log10().floor());
    let mut numbers = numbers.iter().map(|number| number * power);
    numbers.find(|number| *number >= x).unwrap_or(10.0 * power)
}

/// In few characters, without a tail of zeros.
pub fn number(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e7).contains(&x.abs()) {
        return format!("{x:.2e}");
    }
    let text = format!("{x:.4}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Text that is no mark-up.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!([0.0, 0.3, 2.302, 7.0].map(|x| round_up(x, &[1.0, 4.0])), [1.0, 0.4, 4.0, 10.0]);
        assert_eq!([0.25, 1.0, 0.0, 1e-3].map(number), ["0.25", "1", "0", "0.001"]);
        assert_eq!([2.5e9, -3e-7].map(number), ["2.50e9", "-3.00e-7"]);
    }
}
