//! Keys: which output neurons speak for which class.

use crate::seed::Stream;

/// A key that cannot decode.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// No neuron would be left for some class, so that class could never win alone.
    #[error(
        "{width} output neurons cannot tell {classes} classes apart: give every class at least one"
    )]
    TooNarrow {
        /// Classes to tell apart.
        classes: usize,
        /// Output neurons.
        width: usize,
    },
    /// The rows differ in length, name neurons that do not exist, or there are none.
    #[error("a key needs at least one class, and for each a bit per neuron of the output")]
    Ragged,
}

/// Which output neurons speak for which class: a constant of the network, never trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    width: usize,
    /// The neurons of each class, ascending.
    neurons: Vec<Vec<usize>>,
}

impl Key {
    /// Gives each class `width / classes` neurons of its own, drawn at random.
    ///
    /// The remainder, `width mod classes` neurons, speaks for nobody.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooNarrow`] with fewer neurons than classes.
    pub fn disjoint(classes: usize, width: usize, draws: &mut Stream) -> Result<Self, KeyError> {
        let each = per_class(classes, width)?;
        let mut pool: Vec<usize> = (0..width).collect();
        let neurons = (0..classes).map(|_| draw(each, &mut pool, draws)).collect();
        Ok(Self { width, neurons })
    }

    /// Gives each class `width / classes` neurons, drawn from all of them anew for each class.
    ///
    /// A neuron may speak for several classes or for none, and two classes may get the same ones.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooNarrow`] with fewer neurons than classes.
    pub fn overlapping(classes: usize, width: usize, draws: &mut Stream) -> Result<Self, KeyError> {
        let each = per_class(classes, width)?;
        let neurons = (0..classes).map(|_| draw(each, &mut (0..width).collect(), draws)).collect();
        Ok(Self { width, neurons })
    }

    /// Reads a key from its bits, one row per class.
    ///
    /// # Errors
    ///
    /// [`KeyError::Ragged`] if the rows differ in length or there are none.
    pub fn from_rows(rows: &[Vec<bool>]) -> Result<Self, KeyError> {
        let width = rows.first().ok_or(KeyError::Ragged)?.len();
        if rows.iter().any(|row| row.len() != width) {
            return Err(KeyError::Ragged);
        }
        let ones = |row: &Vec<bool>| (0..width).filter(|&neuron| row[neuron]).collect();
        Ok(Self { width, neurons: rows.iter().map(ones).collect() })
    }

    /// The key of which these are the neurons of each class, of `width` neurons in all.
    ///
    /// # Errors
    ///
    /// [`KeyError::Ragged`] if there is no class, or a class has no neuron, one beyond the width,
    /// or its neurons do not ascend.
    pub fn from_neurons(width: usize, neurons: Vec<Vec<usize>>) -> Result<Self, KeyError> {
        let sound = |class: &Vec<usize>| {
            class.is_sorted_by(|a, b| a < b) && class.last().is_some_and(|last| *last < width)
        };
        match !neurons.is_empty() && neurons.iter().all(sound) {
            true => Ok(Self { width, neurons }),
            false => Err(KeyError::Ragged),
        }
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> usize {
        self.neurons.len()
    }

    /// How many output neurons it reads.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The neurons that speak for a class, ascending.
    pub fn neurons(&self, class: usize) -> &[usize] {
        &self.neurons[class]
    }

    /// The output that speaks for a class alone: 1 for its neurons, 0 for the others.
    pub fn encode(&self, class: usize) -> Vec<f32> {
        let mut code = vec![0.0; self.width];
        for &neuron in &self.neurons[class] {
            code[neuron] = 1.0;
        }
        code
    }
}

fn per_class(classes: usize, width: usize) -> Result<usize, KeyError> {
    match width.checked_div(classes) {
        Some(0) | None => Err(KeyError::TooNarrow { classes, width }),
        Some(each) => Ok(each),
    }
}

/// Takes `count` neurons out of the pool, uniformly and without replacement.
fn draw(count: usize, pool: &mut Vec<usize>, draws: &mut Stream) -> Vec<usize> {
    let mut drawn: Vec<usize> =
        (0..count).map(|_| pool.swap_remove(draws.below(pool.len() as u64) as usize)).collect();
    drawn.sort_unstable();
    drawn
}
