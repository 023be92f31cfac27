//! The whole chain on a network small enough to be worked out elsewhere.

use crate::fixture::{assert_close, fixtures, flat, numbers, tensor};
use candle_core::{Tensor, Var};
use serde_json::Value;
use std::sync::Arc;
use whetstone::ops::conv2d::linear;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::{Origin, Statistics};
use whetstone::optim::{Adadelta, LearningRate, Optimizer, Rmsprop, Rule};
use whetstone::softmax_decode::{self as decode, Key, clipped_cross_entropy, cross_entropy};

/// Dense 3 → 4, batch norm, ramp; dense 4 → 4, ramp; decode. In f64.
struct TinyNet {
    variables: Vec<(&'static str, Var)>,
    epsilon: f64,
    key: Arc<Key>,
    x: Tensor,
    labels: Vec<u32>,
}

impl TinyNet {
    fn new(group: &Value) -> Self {
        let variables = ["W1", "b1", "gamma", "beta", "W2", "b2"]
            .map(|name| (name, Var::from_tensor(&tensor(&group["params"][name])).unwrap()));
        let rows = group["key"].as_array().unwrap().iter().map(numbers);
        let rows: Vec<Vec<bool>> =
            rows.map(|row| row.iter().map(|bit| *bit == 1.0).collect()).collect();
        Self {
            variables: variables.into(),
            epsilon: group["bn_eps"].as_f64().unwrap(),
            key: Arc::new(Key::from_rows(&rows).unwrap()),
            x: tensor(&group["x"]),
            labels: numbers(&group["targets"]).iter().map(|label| *label as u32).collect(),
        }
    }

    fn variable(&self, name: &str) -> &Tensor {
        let found = self.variables.iter().find(|(known, _)| *known == name);
        found.unwrap().1.as_tensor()
    }

    fn hidden(&self, curve: Curve) -> Tensor {
        let linear = linear(&self.x, self.variable("W1")).unwrap();
        let linear = linear.broadcast_add(self.variable("b1")).unwrap();
        let statistics = Statistics::of_batch(&linear).unwrap();
        SharpenedNorm { statistics, epsilon: self.epsilon, pool: Pool::None, curve }
            .apply(&linear, self.variable("gamma"), self.variable("beta"))
            .unwrap()
    }

    fn output(&self, hidden: &Tensor, curve: Curve) -> Tensor {
        let linear = linear(hidden, self.variable("W2")).unwrap();
        let linear = linear.broadcast_add(self.variable("b2")).unwrap();
        // No norm here: one that changes nothing stands in.
        let statistics =
            Statistics { mean: vec![0.0; 4], variance: vec![1.0; 4], origin: Origin::Moving };
        let ones = self.variable("b2").detach().ones_like().unwrap();
        SharpenedNorm { statistics, epsilon: 0.0, pool: Pool::None, curve }
            .apply(&linear, &ones, &ones.zeros_like().unwrap())
            .unwrap()
    }
}

fn ramp(sharpness: f64) -> Curve {
    Curve::Clip { slope: 1.0 / (1.0 - sharpness + 0.001) }
}

#[test]
fn forward_loss_and_every_gradient_are_as_published() {
    let group = fixtures("tiny_net");
    let net = TinyNet::new(&group);
    let s = numbers(&group["s"]);
    let hidden = net.hidden(ramp(s[0]));
    assert_close(&flat(&hidden), &numbers(&group["hidden"]), 1e-9, "hidden");
    let output = net.output(&hidden, ramp(s[1]));
    assert_close(&flat(&output), &numbers(&group["out"]), 1e-9, "output");

    let probabilities: Vec<f64> = flat(&output)
        .chunks(4)
        .flat_map(|x| {
            let mut p = vec![0.0; 2];
            decode::logits(&net.key, x, &mut p);
            decode::softmax(&mut p);
            p
        })
        .collect();
    assert_close(&probabilities, &numbers(&group["probs"]), 1e-9, "probabilities");

    for loss in [cross_entropy, clipped_cross_entropy] {
        let loss = loss(&output, &net.key, &net.labels).unwrap();
        let expected = group["loss"].as_f64().unwrap();
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-9);
        let gradients = loss.backward().unwrap();
        for (name, variable) in &net.variables {
            let found = flat(gradients.get(variable).unwrap());
            assert_close(&found, &numbers(&group["grads"][name]), 1e-9, name);
        }
    }
}

#[test]
fn hard_hidden_values_under_batch_statistics_are_as_published() {
    let group = fixtures("tiny_net");
    let hidden = TinyNet::new(&group).hidden(Curve::Step { threshold: 0.5 });
    assert_eq!(flat(&hidden), numbers(&group["hard_forward_with_batch_stats"]["hidden"]));
}

#[test]
fn one_step_of_either_optimiser_leads_where_published() {
    let group = fixtures("tiny_net");
    let s = numbers(&group["s"]);
    let (rho, epsilon, decay) = (0.9, 1e-6, 0.0);
    let steps = [
        ("adadelta lr1 rho.9 eps1e-6", 1.0, Rule::Adadelta(Adadelta { rho, epsilon })),
        ("rmsprop lr1e-3 rho.9 eps1e-6", 1e-3, Rule::Rmsprop(Rmsprop { rho, epsilon })),
    ];
    for (name, initial, rule) in steps {
        let net = TinyNet::new(&group);
        let variables = net.variables.iter().map(|(_, variable)| variable.clone()).collect();
        let rate = LearningRate { initial, decay, warmup: 0 };
        let mut optimizer = Optimizer::with_rule(variables, rule, rate).unwrap();
        let output = net.output(&net.hidden(ramp(s[0])), ramp(s[1]));
        let loss = cross_entropy(&output, &net.key, &net.labels).unwrap();
        optimizer.step(&loss.backward().unwrap()).unwrap();
        for (variable, value) in &net.variables {
            let expected = numbers(&group["params_after_one_step"][name][variable]);
            assert_close(&flat(value), &expected, 1e-9, &format!("{variable} after {name}"));
        }
    }
}
