//! Minimising a smooth function in a box.

use std::convert::Infallible;

use basin::{
    BoxBounds, ConstraintDescription, ConstraintSet, Constraints, CostFunction, Executor,
    FirstOrderState, Gradient, Lbfgsb,
};

/// Stop once a step lowers the cost by less than this share of it. A log posterior that is right
/// to seven digits picks the same points; the last digits would double the evaluations.
const COST_TOLERANCE: f64 = 1e-7;
/// Stop once no slope inside the box exceeds this.
const SLOPE_TOLERANCE: f64 = 1e-4;

/// Where a descent ended.
pub(crate) struct End {
    pub(crate) at: Vec<f64>,
    pub(crate) cost: f64,
}

/// Descends from `start` by L-BFGS-B; `cost` gives the value and its gradient. All four slices
/// have one number for each variable, and `start` lies in the box `[low, high]`.
///
/// Ends after `steps_max` steps at the latest, with the best point seen.
///
/// Reference: R. Byrd et al., "A limited memory algorithm for bound constrained optimization",
/// SIAM J. Sci. Comput. 16, 1995.
pub(crate) fn minimise<F>(cost: F, start: &[f64], low: &[f64], high: &[f64], steps_max: u64) -> End
where
    F: Fn(&[f64]) -> (f64, Vec<f64>),
{
    let problem = Boxed { cost: &cost, low: low.to_vec(), high: high.to_vec() };
    let solver = Lbfgsb::new()
        .with_absolute_projected_gradient_tolerance(SLOPE_TOLERANCE)
        .with_relative_cost_reduction_tolerance(COST_TOLERANCE);
    let state = FirstOrderState::new(start.to_vec());
    let run = Executor::new(problem, solver, state).max_iter(steps_max).run();
    match run {
        Ok(result) => End { at: result.best_param().clone(), cost: result.best_cost() },
        // The solver gives up where the model breaks down; the start is then the best known.
        Err(_) => End { at: start.to_vec(), cost: cost(start).0 },
    }
}

struct Boxed<'a, F> {
    cost: &'a F,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl<F> Constraints for Boxed<'_, F> {
    type Set = ConstraintSet<BoxBounds<Vec<f64>>>;

    fn constraints(&self) -> <Self::Set as ConstraintDescription>::Borrowed<'_> {
        ConstraintSet::new().with_bounds(BoxBounds::new(Some(&self.low), Some(&self.high)))
    }
}

impl<F: Fn(&[f64]) -> (f64, Vec<f64>)> CostFunction for Boxed<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;
    type Error = Infallible;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, Infallible> {
        Ok((self.cost)(at).0)
    }
}

impl<F: Fn(&[f64]) -> (f64, Vec<f64>)> Gradient for Boxed<'_, F> {
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> Result<Vec<f64>, Infallible> {
        Ok((self.cost)(at).1)
    }

    fn cost_and_gradient(&self, at: &Vec<f64>) -> Result<(f64, Vec<f64>), Infallible> {
        Ok((self.cost)(at))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn rosenbrock(at: &[f64]) -> (f64, Vec<f64>) {
        let (x, y) = (at[0], at[1]);
        let value = (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
        let slope_x = -2.0 * (1.0 - x) - 400.0 * x * (y - x * x);
        (value, vec![slope_x, 200.0 * (y - x * x)])
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let end = minimise(rosenbrock, &[-1.2, 1.0], &[-2.0, -2.0], &[2.0, 2.0], 200);
        assert!((end.at[0] - 1.0).abs() < 1e-3, "{:?}", end.at);
        assert!((end.at[1] - 1.0).abs() < 2e-3, "{:?}", end.at);
    }

    #[test]
    fn a_minimum_outside_the_box_is_met_on_its_wall() {
        let end = minimise(rosenbrock, &[-1.2, 1.0], &[-2.0, -2.0], &[0.5, 2.0], 200);
        assert!((end.at[0] - 0.5).abs() < 1e-6, "{:?}", end.at);
        assert!((end.at[1] - 0.25).abs() < 1e-4, "{:?}", end.at);
    }

    #[test]
    fn value_and_gradient_are_asked_for_together() {
        let calls = Cell::new(0);
        let counted = |at: &[f64]| {
            calls.set(calls.get() + 1);
            rosenbrock(at)
        };
        minimise(counted, &[-1.2, 1.0], &[-2.0, -2.0], &[2.0, 2.0], 10);
        assert!(calls.get() <= 25, "{} calls in ten steps", calls.get());
    }
}
