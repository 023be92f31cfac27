//! What a posterior was told, read back from it.

use super::Posterior;
use crate::space::UnitPoint;

impl Posterior {
    /// The measured points and their values as they were learned, standardised: collapsed ones
    /// raised to the edge of the tail. In the order of [`Posterior::leave_one_out`], failures and
    /// believed points left out.
    pub(crate) fn learned(&self) -> (Vec<UnitPoint>, Vec<f64>) {
        let points = (0..self.observed_rows).map(|row| UnitPoint(self.points.point(row)));
        // The targets are not kept, but they are A α.
        let mut targets = self.factor.multiply(&self.alpha);
        targets.truncate(self.observed_rows);
        (points.collect(), targets)
    }

    /// A standardised value in the objective's units.
    pub(crate) fn in_units(&self, z: f64) -> f64 {
        self.standard.value(z)
    }

    /// A difference or deviation of standardised values in the objective's units.
    pub(crate) fn difference_in_units(&self, z: f64) -> f64 {
        self.standard.deviation(z)
    }

    /// The seed of the fit.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}
