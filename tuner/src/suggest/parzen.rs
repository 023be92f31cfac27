//! A density over a space, made of kernels at the points that were seen: a Parzen estimator.
//!
//! With `n` points and as many weights of `1 / (n + 1)`,
//!
//! ```text
//! p(x) = 1/(n + 1) · u(x)  +  Σᵢ 1/(n + 1) · Πₖ kₖ(xₖ | xᵢₖ)      over the active parameters k of x
//! ```
//!
//! where `u` is uniform, so that nothing is impossible. One product for each point, not a product of
//! one density for each parameter: what was good together stays together.
//!
//! | parameter | kernel |
//! |-----------|--------|
//! | float | normal around the point, cut off at 0 and 1, of deviation `b = 0.14 n^(−1/(d+4))` |
//! | integer, ordinal | what that normal gives to the option's share of [0, 1] |
//! | category, boolean | `1 − c` for the same of `K` options, `c/(K − 1)` for another, `c = (K − 1)/(n + K)` |
//! | any that is inactive at `xᵢ` | uniform: the point says nothing about it |
//!
//! Sources: J. Bergstra, R. Bardenet, Y. Bengio & B. Kégl, "Algorithms for Hyper-Parameter
//! Optimization", NeurIPS 2011, section 4 (kernels, a uniform prior, the tree of conditions);
//! S. Watanabe, "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their
//! Roles for Better Empirical Performance", 2023, <https://arxiv.org/abs/2304.11127> (the
//! multivariate form, the deviation and its floor, weights); J. Aitchison & C. Aitken, "Multivariate
//! binary discrimination by the kernel method", Biometrika 63, 1976 (categories).

use crate::normal;
use crate::space::{Space, UnitPoint};
use crate::stream::Stream;

/// The deviation of the kernel of a single point, as a share of the range. Measured together with the
/// constants of [`tpe`](super::tpe): 0.2, which is usual, left 0.204 of regret, this 0.193.
const WIDTH: f64 = 0.14;
/// A kernel is at least `1 / min(n + 1, NARROW)` of the range wide: with few points a narrow one
/// would be sure of too much.
const NARROW: usize = 100;
/// Normal draws that are tried until one lies in [0, 1]. Of a kernel of deviation below 1 more than
/// a third do.
const TRIES_MAX: usize = 64;

/// Where a kernel stands in one parameter.
#[derive(Clone, Copy)]
enum Centre {
    /// The point says nothing about the parameter.
    Nowhere,
    /// On [0, 1], the middle of the option's share, and the kernel's mass inside it.
    At(f64, f64),
    /// The option of a category.
    Option(u64),
}

/// The density of a set of points.
pub(super) struct Parzen<'a> {
    space: &'a Space,
    /// One list a point, one centre a parameter.
    kernels: Vec<Vec<Centre>>,
    /// Deviation of the kernels of ordered parameters, on [0, 1].
    width: f64,
}

impl<'a> Parzen<'a> {
    /// The density of canonical `points`; uniform if there are none.
    pub(super) fn of(space: &'a Space, points: &[&UnitPoint]) -> Parzen<'a> {
        let (n, d) = (points.len(), space.parameters().len());
        let scott = WIDTH * (n.max(1) as f64).powf(-1.0 / (d as f64 + 4.0));
        let width = scott.max(1.0 / NARROW.min(n + 1) as f64);
        let mut parzen = Parzen { space, kernels: Vec::with_capacity(n), width };
        for point in points {
            let active = space.active(point);
            let centre = |place: usize| match active[place] {
                false => Centre::Nowhere,
                true => parzen.centre(place, point.0[place]),
            };
            let kernel = (0..d).map(centre).collect();
            parzen.kernels.push(kernel);
        }
        parzen
    }

    /// A draw, canonical.
    pub(super) fn draw(&self, stream: &mut Stream) -> UnitPoint {
        let chosen = stream.below(self.kernels.len() as u64 + 1) as usize;
        let kernel = self.kernels.get(chosen);
        let d = self.space.parameters().len();
        let (mut units, mut active) = (Vec::with_capacity(d), Vec::with_capacity(d));
        for place in 0..d {
            let is_active = self.space.is_active(place, &active, &units);
            active.push(is_active);
            let centre = kernel.map_or(Centre::Nowhere, |kernel| kernel[place]);
            // What an inactive one takes is overwritten in the canonical form.
            units.push(if is_active { self.draw_one(place, centre, stream) } else { 0.0 });
        }
        self.space.canonical(&UnitPoint(units))
    }

    /// Natural logarithm of the density at a canonical point. Finite: the uniform part is nowhere 0.
    pub(super) fn log_density(&self, point: &UnitPoint) -> f64 {
        let active = self.space.active(point);
        let places: Vec<usize> = (0..active.len()).filter(|&place| active[place]).collect();
        let shares: Vec<(f64, f64)> =
            places.iter().map(|&place| self.share(place, point.0[place])).collect();
        let options: Vec<Option<u64>> = places
            .iter()
            .map(|&place| {
                self.space.options(place).map(|_| self.space.option(place, point.0[place]))
            })
            .collect();
        let log_kernel = |kernel: Option<&Vec<Centre>>| -> f64 {
            let terms = places.iter().zip(&shares).zip(&options);
            let logs = terms.map(|((&place, &share), &option)| {
                let centre = kernel.map_or(Centre::Nowhere, |kernel| kernel[place]);
                self.log_kernel(place, centre, share, option)
            });
            logs.sum()
        };
        let mut logs = vec![log_kernel(None)];
        logs.extend(self.kernels.iter().map(|kernel| log_kernel(Some(kernel))));
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
        largest + (sum / logs.len() as f64).ln()
    }

    fn centre(&self, place: usize, unit: f64) -> Centre {
        if self.space.is_category(place) {
            return Centre::Option(self.space.option(place, unit));
        }
        let (low, high) = self.share(place, unit);
        let middle = low + (high - low) / 2.0;
        Centre::At(middle, self.mass(middle, 0.0, 1.0))
    }

    /// What of [0, 1] belongs to a value: a float's is a point.
    fn share(&self, place: usize, unit: f64) -> (f64, f64) {
        match self.space.options(place) {
            None => (unit, unit),
            Some(_) => self.space.cell(place, self.space.option(place, unit)),
        }
    }

    /// Logarithm of one factor: a density for floats, a probability for the rest.
    fn log_kernel(
        &self,
        place: usize,
        centre: Centre,
        (low, high): (f64, f64),
        option: Option<u64>,
    ) -> f64 {
        match centre {
            Centre::Nowhere if option.is_none() => 0.0,
            Centre::Nowhere => (high - low).ln(),
            Centre::At(middle, inside) => {
                let z = (low - middle) / self.width;
                match option {
                    // The logarithm of the normal density itself would underflow far out.
                    None => -0.5 * z * z - normal::LOG_SQRT_TAU - self.width.ln() - inside.ln(),
                    Some(_) => (self.mass(middle, low, high) / inside).ln(),
                }
            }
            Centre::Option(same) => {
                let (n, options) = (self.kernels.len() as f64, self.options(place));
                let chances = if option == Some(same) { n + 1.0 } else { 1.0 };
                (chances / (n + options)).ln()
            }
        }
    }

    fn draw_one(&self, place: usize, centre: Centre, stream: &mut Stream) -> f64 {
        match centre {
            Centre::Nowhere => self.space.spread_one(place, stream.uniform()),
            Centre::At(middle, _) => {
                let mut draws = (0..TRIES_MAX).map(|_| middle + self.width * stream.normal());
                let inside = draws.find(|draw| (0.0..1.0).contains(draw));
                self.space.spread_one(place, inside.unwrap_or(middle))
            }
            Centre::Option(same) => {
                let (n, options) = (self.kernels.len() as f64, self.options(place));
                // With what is left over for the same option alone, any of them is as likely.
                let any = stream.uniform() * (n + options) < options;
                let option = if any { stream.below(options as u64) } else { same };
                self.space.option_at(place, option)
            }
        }
    }

    /// How much of a kernel around `middle`, not yet cut off, lies between two numbers.
    fn mass(&self, middle: f64, low: f64, high: f64) -> f64 {
        let (from, to) = ((low - middle) / self.width, (high - middle) / self.width);
        // On the left side, where the distribution function keeps its digits.
        let (from, to) = if from > 0.0 { (-to, -from) } else { (from, to) };
        normal::cdf(to) - normal::cdf(from)
    }

    fn options(&self, place: usize) -> f64 {
        self.space.options(place).expect("a category has options") as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Condition, Domain, Parameter, Scale, Value};
    use crate::stream::Purpose;

    fn parameter(name: &str, domain: Domain) -> Parameter {
        Parameter { name: name.to_owned(), domain, condition: None, default: None }
    }

    /// Every discrete kind, one of them conditional: 3 · 9 + 2 · 9 · 4 points, and twice as many.
    fn discrete() -> Space {
        let choices = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let values = [Value::Text("b".to_owned()), Value::Text("d".to_owned())].to_vec();
        let condition = Some(Condition { parameter: "kind".to_owned(), values });
        let ordinal = Domain::Ordinal { values: vec![0.1, 0.2, 0.5, 3.0] };
        Space::new(vec![
            parameter("kind", Domain::Categorical { choices }),
            parameter("units", Domain::Int { low: 1, high: 9, scale: Scale::Log }),
            Parameter { condition, ..parameter("std", ordinal) },
            parameter("norm", Domain::Bool),
        ])
        .unwrap()
    }

    fn some_points(space: &Space, count: u64) -> Vec<UnitPoint> {
        let mut stream = Stream::new(2, 0, Purpose::Uniform);
        (0..count).map(|_| crate::design::uniform(space, &mut stream)).collect()
    }

    #[test]
    fn the_probabilities_of_all_points_sum_to_one_and_are_how_often_they_are_drawn() {
        let space = discrete();
        let all: Vec<UnitPoint> = (0..).map_while(|rank| space.nth(rank)).collect();
        assert_eq!(all.len(), 198);
        for count in [0, 1, 7] {
            let points = some_points(&space, count);
            let parzen = Parzen::of(&space, &points.iter().collect::<Vec<_>>());
            let chances: Vec<f64> = all.iter().map(|at| parzen.log_density(at).exp()).collect();
            let sum: f64 = chances.iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
            let draws = 40_000;
            let mut seen = vec![0.0; all.len()];
            let mut stream = Stream::new(3, count, Purpose::Parzen);
            for _ in 0..draws {
                let drawn = parzen.draw(&mut stream);
                seen[all.iter().position(|at| *at == drawn).expect("canonical")] += 1.0;
            }
            // Pearson's statistic has as many degrees of freedom as there are points, less one.
            let expected = chances.iter().map(|chance| chance * f64::from(draws));
            let chi2: f64 = expected.zip(&seen).map(|(e, s)| (s - e) * (s - e) / e).sum();
            let freedom = all.len() as f64 - 1.0;
            assert!((chi2 - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{count}: {chi2}");
        }
    }

    #[test]
    fn the_density_of_floats_integrates_to_one_and_is_where_they_are_drawn() {
        let range = Domain::Float { low: -3.0, high: 2.0, scale: Scale::Linear };
        let space = Space::new(vec![parameter("x", range)]).unwrap();
        let points: Vec<UnitPoint> = [0.0, 0.1, 0.9].map(|unit| UnitPoint(vec![unit])).to_vec();
        let parzen = Parzen::of(&space, &points.iter().collect::<Vec<_>>());
        let density = |unit: f64| parzen.log_density(&UnitPoint(vec![unit])).exp();
        // By the midpoint rule.
        let mass = |low: f64, high: f64| -> f64 {
            let step = (high - low) / 2_000.0;
            (0..2_000).map(|i| density(low + (f64::from(i) + 0.5) * step) * step).sum()
        };
        assert!((mass(0.0, 1.0) - 1.0).abs() < 1e-6, "{}", mass(0.0, 1.0));
        let mut stream = Stream::new(4, 0, Purpose::Parzen);
        let draws: Vec<f64> = (0..40_000).map(|_| parzen.draw(&mut stream).0[0]).collect();
        for tenth in 0..10 {
            let (low, high) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            let inside = draws.iter().filter(|&&x| (low..high).contains(&x)).count() as f64;
            let expected = 40_000.0 * mass(low, high);
            assert!((inside - expected).abs() < 5.0 * expected.sqrt(), "{tenth}: {inside}");
        }
    }

    #[test]
    fn a_point_says_nothing_about_what_is_inactive_there() {
        let space = discrete();
        // At "a" the deviation does not matter, so at "b" all four of its options are as likely.
        let points: Vec<UnitPoint> =
            some_points(&space, 200).into_iter().filter(|x| !space.active(x)[2]).collect();
        assert!(points.len() > 50);
        let parzen = Parzen::of(&space, &points.iter().collect::<Vec<_>>());
        let at = |rank: u64| UnitPoint(vec![0.25, 0.0, rank as f64 / 3.0, 1.0]);
        for rank in 1..4 {
            assert!((parzen.log_density(&at(rank)) - parzen.log_density(&at(0))).abs() < 1e-12);
        }
    }

    #[test]
    fn the_narrowest_share_of_the_widest_range_still_has_a_density() {
        let range = Domain::Int { low: -(1 << 40), high: 1 << 40, scale: Scale::Linear };
        let space = Space::new(vec![parameter("x", range)]).unwrap();
        let points = vec![UnitPoint(vec![0.0]); 500];
        let parzen = Parzen::of(&space, &points.iter().collect::<Vec<_>>());
        let near = parzen.log_density(&UnitPoint(vec![0.0]));
        let far = parzen.log_density(&UnitPoint(vec![1.0]));
        assert!(near.is_finite() && far.is_finite() && far < near, "{near}, {far}");
    }
}
