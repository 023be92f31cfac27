//! Cross-entropy of the decoded probabilities, in the stable form and in Keras's.

use super::{Key, logits, softmax};
use crate::ops::real::{Real, contiguous, with_values};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use std::sync::Arc;

#[cfg(feature = "cuda")]
use crate::ops::cuda::tensors;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

/// Where Keras clips probabilities before it takes their logarithm.
const PROBABILITY_MIN: f64 = 1e-7;

/// Mean over the batch of −log p(label), through the logarithm of the softmax.
///
/// `x` is `(images, neurons)`, the output of the last activation; the result is a scalar. However
/// wrong an output is, its gradient stays: that is why training uses this form.
///
/// # Errors
///
/// If shapes do not match, a label is no class, or `x` is not contiguous.
pub fn cross_entropy(x: &Tensor, key: &Arc<Key>, labels: &[u32]) -> Result<Tensor> {
    apply(x, key, labels, Form::Stable)
}

/// The gradient of [`cross_entropy`] by `x`, of its shape.
///
/// # Errors
///
/// As [`cross_entropy`].
pub fn cross_entropy_gradient(x: &Tensor, key: &Arc<Key>, labels: &[u32]) -> Result<Tensor> {
    let op = checked(x, key, labels, Form::Stable)?;
    let one = Tensor::ones((), x.dtype(), x.device())?;
    Ok(op.bwd(x, &one, &one)?.expect("a gradient, because this operation always has one"))
}

/// The same as Keras 2 computes it: probabilities are clipped to 1e-7 … 1 − 1e-7 first.
///
/// A sample whose label has less than 1e-7 then has no gradient at all: with five or more neurons
/// per class a network that is sure and wrong cannot learn better.
///
/// # Errors
///
/// As [`cross_entropy`].
pub fn clipped_cross_entropy(x: &Tensor, key: &Arc<Key>, labels: &[u32]) -> Result<Tensor> {
    apply(x, key, labels, Form::Clipped)
}

fn apply(x: &Tensor, key: &Arc<Key>, labels: &[u32], form: Form) -> Result<Tensor> {
    x.apply_op1(checked(x, key, labels, form)?)
}

fn checked(x: &Tensor, key: &Arc<Key>, labels: &[u32], form: Form) -> Result<CrossEntropy> {
    let (images, width) = x.dims2()?;
    if images == 0 || labels.len() != images || width != key.width() {
        bail!(
            "{images} outputs of {width} neurons do not fit {} labels and a key of {} neurons",
            labels.len(),
            key.width()
        );
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= key.classes()) {
        bail!("label {label} is none of the {} classes", key.classes());
    }
    Ok(CrossEntropy { key: Arc::clone(key), labels: labels.to_vec(), form })
}

#[derive(Clone, Copy)]
enum Form {
    Stable,
    Clipped,
}

struct CrossEntropy {
    key: Arc<Key>,
    labels: Vec<u32>,
    form: Form,
}

impl CrossEntropy {
    fn forward<R: Real>(&self, x: &[R]) -> R {
        let mut votes = vec![0.0; self.key.classes()];
        let mut sum = 0.0;
        for (x, label) in x.chunks_exact(self.key.width()).zip(&self.labels) {
            logits(&self.key, x, &mut votes);
            let label = *label as usize;
            sum += match self.form {
                Form::Stable => {
                    let largest = votes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let rest: f64 = votes.iter().map(|vote| (vote - largest).exp()).sum();
                    rest.ln() + largest - votes[label]
                }
                Form::Clipped => {
                    softmax(&mut votes);
                    -votes[label].clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN).ln()
                }
            };
        }
        R::from_f64(sum / self.labels.len() as f64)
    }

    /// d loss / d x = 2 (2Kᵀ − 1)(p − onehot) / images.
    ///
    /// Probabilities sum to one, so the −1 drops out: a neuron collects 4 (p − onehot) from each
    /// class it speaks for.
    fn backward<R: Real>(&self, x: &[R], dy: f64) -> Vec<R> {
        let mut votes = vec![0.0; self.key.classes()];
        let mut row = vec![0.0; self.key.width()];
        let mut dx = Vec::with_capacity(x.len());
        let factor = 4.0 * dy / self.labels.len() as f64;
        for (x, label) in x.chunks_exact(self.key.width()).zip(&self.labels) {
            logits(&self.key, x, &mut votes);
            softmax(&mut votes);
            let label = *label as usize;
            row.fill(0.0);
            if self.reaches(votes[label]) {
                votes[label] -= 1.0;
                for (class, error) in votes.iter().enumerate() {
                    for &neuron in self.key.neurons(class) {
                        row[neuron] += factor * error;
                    }
                }
            }
            dx.extend(row.iter().map(|value| R::from_f64(*value)));
        }
        dx
    }

    /// Whether the gradient passes the clip.
    fn reaches(&self, probability: f64) -> bool {
        match self.form {
            Form::Stable => true,
            Form::Clipped => (PROBABILITY_MIN..=1.0 - PROBABILITY_MIN).contains(&probability),
        }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "softmax-decode-cross-entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = match x {
            CpuStorage::F32(_) => {
                CpuStorage::F32(vec![self.forward::<f32>(contiguous(x, layout)?)])
            }
            CpuStorage::F64(_) => {
                CpuStorage::F64(vec![self.forward::<f64>(contiguous(x, layout)?)])
            }
            _ => bail!("a cross-entropy takes f32 or f64"),
        };
        Ok((storage, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let clipped = matches!(self.form, Form::Clipped);
        let loss = tensors::loss(&self.key, &self.labels, clipped, (x, layout))?;
        Ok((loss, Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let clipped = matches!(self.form, Form::Clipped);
            return tensors::loss_backward(&self.key, &self.labels, clipped, x, dy).map(Some);
        }
        let (shape, device) = (x.shape(), x.device());
        let dx = match x.dtype() {
            DType::F64 => {
                let dy = dy.to_scalar::<f64>()?;
                let dx = with_values::<f64, _>(x, |x| Ok(self.backward(x, dy)))?;
                Tensor::from_vec(dx, shape, device)?
            }
            _ => {
                let dy = f64::from(dy.to_scalar::<f32>()?);
                let dx = with_values::<f32, _>(x, |x| Ok(self.backward(x, dy)))?;
                Tensor::from_vec(dx, shape, device)?
            }
        };
        Ok(Some(dx))
    }
}
