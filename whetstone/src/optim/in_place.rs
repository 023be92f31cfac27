//! Running averages, and updates that change a variable where it lies.

use std::cell::RefCell;

use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, Var, bail};

use super::Rule;
use super::number::Number;

/// The running averages of one variable, zero at first.
///
/// On the CPU they are plain vectors, one average after the other: an operation of candle may
/// change one tensor only, and an update has to change the variable and its averages in one pass.
#[derive(Debug)]
pub(super) enum Averages {
    /// Of an f32 variable on the CPU.
    F32(Vec<f32>),
    /// Of an f64 variable on the CPU.
    F64(Vec<f64>),
    /// Of an f32 variable on a GPU, one after the other, on the same one.
    #[cfg(feature = "cuda")]
    Gpu(Tensor),
    /// Of any other variable, one tensor each, on its device.
    Tensors(Vec<Tensor>),
}

impl Averages {
    /// As many averages of the variable as the rule keeps.
    pub(super) fn zeros(var: &Var, count: usize) -> Result<Averages> {
        let length = count * var.elem_count();
        match (var.device(), var.dtype()) {
            (Device::Cpu, DType::F32) => Ok(Averages::F32(vec![0.0; length])),
            (Device::Cpu, DType::F64) => Ok(Averages::F64(vec![0.0; length])),
            #[cfg(feature = "cuda")]
            (device @ Device::Cuda(_), DType::F32) => {
                Tensor::zeros(length, DType::F32, device).map(Averages::Gpu)
            }
            (_, DType::F32 | DType::F64) => Averages::tensors(var, count),
            (_, other) => bail!("variables learn in f32 or f64, but one is {other:?}"),
        }
    }

    /// The same as tensors on the variable's device.
    pub(super) fn tensors(var: &Var, count: usize) -> Result<Averages> {
        (0..count).map(|_| var.zeros_like()).collect::<Result<_>>().map(Averages::Tensors)
    }

    /// One update of the variable and these averages.
    pub(super) fn step(
        &mut self,
        rule: Rule,
        rate: f64,
        var: &Var,
        gradient: &Tensor,
    ) -> Result<()> {
        if gradient.shape() != var.shape() {
            bail!("a gradient of shape {:?} for one of {:?}", gradient.shape(), var.shape());
        }
        if let Averages::Tensors(averages) = self {
            let gradient = gradient.detach();
            return match rule {
                Rule::Adadelta(rule) => rule.compose(rate, var, averages, &gradient),
                Rule::Rmsprop(rule) => rule.compose(rate, var, averages, &gradient),
                Rule::Adam(rule) => rule.compose(rate, var, averages, &gradient),
                Rule::Sgd(rule) => rule.compose(rate, var, averages, &gradient),
            };
        }
        // A gradient may arrive as a view, transposed or broadcast; this copies only then.
        let gradient = gradient.contiguous()?;
        var.inplace_op2(&gradient, &Update { rule, rate, averages: RefCell::new(self) })
    }

    /// What happens without a gradient: each average keeps its share, the variable stays.
    pub(super) fn decay(&mut self, kept: &[f64]) -> Result<()> {
        fn decay<N: Number>(averages: &mut [N], kept: &[f64]) {
            let each = averages.len().div_ceil(kept.len()).max(1);
            for (averages, kept) in averages.chunks_mut(each).zip(kept) {
                let kept = N::from_f64(*kept);
                averages.iter_mut().for_each(|average| *average = (*average * kept).flushed());
            }
        }
        match self {
            Averages::F32(averages) => decay(averages, kept),
            Averages::F64(averages) => decay(averages, kept),
            #[cfg(feature = "cuda")]
            Averages::Gpu(averages) => crate::ops::cuda::tensors::decay(averages, kept)?,
            Averages::Tensors(averages) => {
                for (average, kept) in averages.iter_mut().zip(kept) {
                    *average = average.affine(*kept, 0.0)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the place of these averages of the variable, `count` of them.
    pub(super) fn set(&mut self, var: &Var, saved: &[Tensor], count: usize) -> Result<()> {
        fn joined<N: Number>(saved: &[Tensor]) -> Result<Vec<N>> {
            let values = saved.iter().map(|average| average.flatten_all()?.to_vec1::<N>());
            Ok(values.collect::<Result<Vec<_>>>()?.concat())
        }
        if saved.len() != count || saved.iter().any(|average| average.shape() != var.shape()) {
            bail!("a variable of shape {:?} needs {count} averages of that shape", var.shape());
        }
        match self {
            Averages::F32(averages) => *averages = joined(saved)?,
            Averages::F64(averages) => *averages = joined(saved)?,
            #[cfg(feature = "cuda")]
            Averages::Gpu(averages) => {
                let flat = saved.iter().map(|average| average.flatten_all());
                let joined = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?;
                // A copy, since updates write to it.
                *averages = joined.to_device(var.device())?.copy()?;
            }
            Averages::Tensors(averages) => *averages = saved.to_vec(),
        }
        Ok(())
    }

    /// A copy of each average in the variable's shape.
    pub(super) fn to_tensors(&self, var: &Var) -> Result<Vec<Tensor>> {
        fn split<N: Number>(averages: &[N], var: &Var) -> Result<Vec<Tensor>> {
            averages
                .chunks(var.elem_count().max(1))
                .map(|average| Tensor::from_slice(average, var.shape(), var.device()))
                .collect()
        }
        match self {
            Averages::F32(averages) => split(averages, var),
            Averages::F64(averages) => split(averages, var),
            #[cfg(feature = "cuda")]
            Averages::Gpu(averages) => averages
                .copy()?
                .chunk(averages.elem_count() / var.elem_count().max(1), 0)?
                .iter()
                .map(|average| average.reshape(var.shape()))
                .collect(),
            Averages::Tensors(averages) => Ok(averages.clone()),
        }
    }
}

/// One update, as an operation that candle runs on the variable's storage.
///
/// candle lends the operation itself out shared, hence the cell around the averages; it runs an
/// operation once and at once, so that the cell is never borrowed twice.
struct Update<'a> {
    rule: Rule,
    rate: f64,
    averages: RefCell<&'a mut Averages>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer-update"
    }

    fn cpu_fwd(
        &self,
        parameters: &mut CpuStorage,
        parameters_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let offsets =
            (parameters_layout.contiguous_offsets(), gradient_layout.contiguous_offsets());
        let (Some((p, p_end)), Some((g, g_end))) = offsets else {
            bail!("a variable and its gradient must be contiguous to be updated in place")
        };
        match (parameters, gradient, &mut **self.averages.borrow_mut()) {
            (CpuStorage::F32(parameters), CpuStorage::F32(gradient), Averages::F32(averages)) => {
                self.run(&mut parameters[p..p_end], averages, &gradient[g..g_end]);
            }
            (CpuStorage::F64(parameters), CpuStorage::F64(gradient), Averages::F64(averages)) => {
                self.run(&mut parameters[p..p_end], averages, &gradient[g..g_end]);
            }
            _ => bail!("a gradient must have the type of its variable"),
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        parameters: &mut candle_core::CudaStorage,
        parameters_layout: &Layout,
        gradient: &candle_core::CudaStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let Averages::Gpu(averages) = &**self.averages.borrow() else {
            bail!("the averages of a variable on a GPU must be on it too")
        };
        let (variable, gradient) = ((parameters, parameters_layout), (gradient, gradient_layout));
        crate::ops::cuda::tensors::update(self.rule, self.rate, variable, averages, gradient)
    }
}

impl Update<'_> {
    fn run<N: Number>(&self, parameters: &mut [N], averages: &mut [N], gradient: &[N]) {
        match self.rule {
            Rule::Adadelta(rule) => {
                let halves = averages.split_at_mut(parameters.len());
                rule.update(self.rate, parameters, halves, gradient);
            }
            Rule::Rmsprop(rule) => rule.update(self.rate, parameters, averages, gradient),
            Rule::Adam(rule) => {
                let halves = averages.split_at_mut(parameters.len());
                rule.update(self.rate, parameters, halves, gradient);
            }
            Rule::Sgd(rule) => rule.update(self.rate, parameters, averages, gradient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{Adadelta, Adam, Rmsprop, Sgd};

    /// The composed form has no fixture of its own device here; on the CPU it must agree with the
    /// in-place form, which has.
    #[test]
    fn composed_updates_agree_with_those_in_place() -> Result<()> {
        let rules = [
            Rule::Adadelta(Adadelta { rho: 0.9, epsilon: 1e-6 }),
            Rule::Rmsprop(Rmsprop { rho: 0.95, epsilon: 1e-8 }),
            Rule::Adam(Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-7 }),
            Rule::Sgd(Sgd { momentum: 0.8 }),
        ];
        for rule in rules {
            let start = Tensor::new(&[[0.5_f64, -1.0, 2.0], [0.0, 1e-3, -3.0]], &Device::Cpu)?;
            let (fast, slow) = (Var::from_tensor(&start)?, Var::from_tensor(&start)?);
            let mut in_place = Averages::zeros(&fast, rule.averages())?;
            let mut composed = Averages::tensors(&slow, rule.averages())?;
            for step in 0..20 {
                let gradient = start.affine(0.1, f64::from(step) * 0.01 - 0.1)?;
                if step % 5 == 3 {
                    in_place.decay(&rule.kept())?;
                    composed.decay(&rule.kept())?;
                } else {
                    in_place.step(rule, 0.3, &fast, &gradient)?;
                    composed.step(rule, 0.3, &slow, &gradient)?;
                }
            }
            assert_ne!(fast.to_vec2::<f64>()?, start.to_vec2::<f64>()?);
            let far =
                (fast.as_tensor() - slow.as_tensor())?.abs()?.max_all()?.to_scalar::<f64>()?;
            assert!(far < 1e-12, "{rule:?}: {far}");
            for (a, b) in in_place.to_tensors(&fast)?.iter().zip(composed.to_tensors(&slow)?) {
                let far = (a - b)?.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(far < 1e-12, "{rule:?}: {far}");
            }
        }
        Ok(())
    }
}
