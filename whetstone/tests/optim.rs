//! Optimisers against five-step traces, closed forms and each other.

use candle_core::{DType, Device, Result, Tensor, Var};
use recipe::Recipe;
use serde_json::Value;
use whetstone::optim::{Adadelta, Adam, LearningRate, Optimizer, Rmsprop, Rule, Sgd};

fn fixtures(group: &str) -> Value {
    let text = include_str!("fixtures/whetstone.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    all[group].take()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn learning_rate(case: &Value) -> LearningRate {
    LearningRate { initial: number(&case["lr"]), decay: number(&case["decay"]), warmup: 0 }
}

fn adadelta(case: &Value) -> Rule {
    Rule::Adadelta(Adadelta { rho: number(&case["rho"]), epsilon: number(&case["eps"]) })
}

fn rmsprop(case: &Value) -> Rule {
    Rule::Rmsprop(Rmsprop { rho: number(&case["rho"]), epsilon: number(&case["eps"]) })
}

/// Makes one update with a given gradient, through candle's own differentiation.
fn step(optimizer: &mut Optimizer, var: &Var, gradient: &Tensor) -> Result<()> {
    // d/dp sum(p · g) = g
    let gradients = (var.as_tensor() * gradient)?.sum_all()?.backward()?;
    optimizer.step(&gradients)
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_vec1::<f64>().unwrap()[0]
}

fn one() -> Var {
    Var::from_slice(&[1.0_f64], 1, &Device::Cpu).unwrap()
}

fn constant(value: f64) -> Tensor {
    Tensor::new(&[value], &Device::Cpu).unwrap()
}

fn assert_close(actual: f64, expected: f64, what: &str) {
    let scale = expected.abs().max(1e-12);
    assert!((actual - expected).abs() <= 1e-9 * scale, "{what}: {actual} is not {expected}");
}

/// Follows a trace step by step; the parameters on the way.
fn follow(case: &Value, rule: Rule) -> Vec<f64> {
    let var = one();
    let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate(case)).unwrap();
    let mut parameters = Vec::new();
    for row in case["trace"].as_array().unwrap() {
        let place = format!("{rule:?}, step {}", row["step"]);
        assert_close(optimizer.learning_rate(), number(&row["lr_t"]), &place);
        step(&mut optimizer, &var, &constant(number(&row["grad"]))).unwrap();
        assert_close(scalar(&var), number(&row["param"]), &place);
        let averages = optimizer.averages(0).unwrap();
        for (average, name) in averages.iter().zip(["accum_g2", "accum_delta2"]) {
            assert_close(scalar(average), number(&row[name]), &format!("{place}, {name}"));
        }
        parameters.push(scalar(&var));
    }
    parameters
}

#[test]
fn adadelta_follows_every_trace() {
    let group = fixtures("adadelta");
    for case in group["cases"].as_array().unwrap() {
        assert_eq!(follow(case, adadelta(case)).len(), 5);
    }
}

#[test]
fn rmsprop_follows_every_trace_and_keeps_epsilon_outside_the_root() {
    let group = fixtures("rmsprop");
    for case in group["cases"].as_array().unwrap() {
        let parameters = follow(case, rmsprop(case));
        let inside = case["wrong_eps_inside_params"].as_array().unwrap();
        for (actual, wrong) in parameters.iter().zip(inside) {
            assert!((actual - number(wrong)).abs() > 1e-9, "epsilon is inside the root");
        }
    }
}

#[test]
fn the_first_step_is_as_long_as_theory_says() {
    let first = |rule, rate: f64, gradient: f64| {
        let var = one();
        let learning_rate = LearningRate { initial: rate, decay: 0.0, warmup: 0 };
        let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate).unwrap();
        step(&mut optimizer, &var, &constant(gradient)).unwrap();
        (scalar(&var) - 1.0).abs()
    };
    for case in fixtures("adadelta")["first_step_magnitude"].as_array().unwrap() {
        let expected = number(&case["abs_update_for_large_g"]);
        let actual = first(adadelta(case), 1.0, -1e3);
        assert!((actual / expected - 1.0).abs() < 1e-6, "{actual} is not {expected}");
    }
    for case in fixtures("rmsprop")["first_step_magnitude"].as_array().unwrap() {
        let rule = Rule::Rmsprop(Rmsprop { rho: number(&case["rho"]), epsilon: 1e-8 });
        let expected = number(&case["abs_step_for_large_g"]);
        let actual = first(rule, number(&case["lr"]), 1e3);
        assert!((actual / expected - 1.0).abs() < 1e-6, "{actual} is not {expected}");
    }
}

#[test]
fn the_learning_rate_decays_per_update() {
    for case in fixtures("lr_decay")["cases"].as_array().unwrap() {
        let updates = case["t"].as_u64().unwrap();
        assert_close(learning_rate(case).after(updates), number(&case["lr_t"]), "rate");
    }
    // And an optimiser counts its updates, gradients or not.
    let recipe = Recipe { learning_rate: 0.5, decay: 0.1, ..Recipe::default() };
    let var = one();
    let mut optimizer = Optimizer::new(vec![var.clone()], &recipe, 1).unwrap();
    step(&mut optimizer, &var, &constant(0.0)).unwrap();
    optimizer.step(&constant(1.0).sum_all().unwrap().backward().unwrap()).unwrap();
    assert_eq!(optimizer.updates(), 2);
    assert_close(optimizer.learning_rate(), 0.5 / 1.2, "after two updates");
}

fn every_rule() -> Vec<Recipe> {
    let optimizers = recipe::Optimizer::ALL.iter();
    let learning_rate = 0.01;
    optimizers.map(|&optimizer| Recipe { optimizer, learning_rate, ..Recipe::default() }).collect()
}

#[test]
fn a_recipe_chooses_the_rule_with_its_rho_and_epsilon() {
    let recipe = Recipe { rho: 0.95, optimizer_epsilon: 1e-8, ..Recipe::default() };
    let expected = Rule::Adadelta(Adadelta { rho: 0.95, epsilon: 1e-8 });
    assert_eq!(Rule::from_recipe(&recipe), expected);
    let recipe = Recipe { optimizer: recipe::Optimizer::Rmsprop, ..recipe };
    let expected = Rule::Rmsprop(Rmsprop { rho: 0.95, epsilon: 1e-8 });
    assert_eq!(Rule::from_recipe(&recipe), expected);
    let recipe = Recipe { optimizer: recipe::Optimizer::Adam, momentum: 0.8, ..recipe };
    let expected = Rule::Adam(Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-8 });
    assert_eq!(Rule::from_recipe(&recipe), expected);
    let recipe = Recipe { optimizer: recipe::Optimizer::Sgd, ..recipe };
    assert_eq!(Rule::from_recipe(&recipe), Rule::Sgd(Sgd { momentum: 0.8 }));
}

#[test]
fn a_variable_without_a_gradient_rests_while_its_averages_decay() {
    for recipe in every_rule() {
        let (absent, zero) = (one(), one());
        let vars = vec![absent.clone(), zero.clone()];
        let mut optimizer = Optimizer::new(vars, &recipe, 1).unwrap();
        // Both learn once, so that there is something to decay.
        let sum = (absent.as_tensor() + zero.as_tensor()).unwrap().sum_all().unwrap();
        optimizer.step(&sum.backward().unwrap()).unwrap();
        let before = scalar(&absent);
        let averages = |optimizer: &Optimizer, index| -> Vec<f64> {
            optimizer.averages(index).unwrap().iter().map(scalar).collect()
        };
        let averages_before = averages(&optimizer, 0);

        let still = (zero.as_tensor() * constant(0.0)).unwrap().sum_all().unwrap();
        let gradients = still.backward().unwrap();
        assert!(gradients.get(&absent).is_none() && gradients.get(&zero).is_some());
        optimizer.step(&gradients).unwrap();
        assert_eq!(scalar(&absent), before, "bit by bit");
        assert_eq!(averages(&optimizer, 0), averages(&optimizer, 1), "as by a gradient of zero");
        use recipe::Optimizer::{Adadelta, Adam, Rmsprop, Sgd};
        let (kept, coasts) = match recipe.optimizer {
            Adadelta | Rmsprop => ([recipe.rho, recipe.rho], false),
            Adam => ([recipe.momentum, recipe.rho], true),
            Sgd => ([recipe.momentum, 0.0], true),
        };
        // Momentum goes on where there is a gradient, if only of zero.
        assert_eq!(scalar(&zero) != before, coasts, "{:?}", recipe.optimizer);
        for ((now, before), kept) in averages(&optimizer, 0).iter().zip(averages_before).zip(kept) {
            assert_close(*now, kept * before, "decayed");
        }
    }
}

#[test]
fn f32_variables_learn_as_f64_ones_do() {
    for recipe in every_rule() {
        let start: Vec<f64> = (0..50).map(|i| f64::from(i) * 0.07 - 1.5).collect();
        let run = |dtype| {
            let start = Tensor::new(start.as_slice(), &Device::Cpu).unwrap();
            let var = Var::from_tensor(&start.to_dtype(dtype).unwrap()).unwrap();
            let mut optimizer = Optimizer::new(vec![var.clone()], &recipe, 1).unwrap();
            for _ in 0..30 {
                let gradients = var.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                optimizer.step(&gradients).unwrap();
            }
            var.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        let mut farthest = 0.0_f64;
        for ((f32, f64), start) in run(DType::F32).iter().zip(run(DType::F64)).zip(&start) {
            assert!((f32 - f64).abs() < 1e-5, "{f32} is not {f64}");
            farthest = farthest.max((f64 - start).abs());
        }
        assert!(farthest > 1e-3, "nothing learned");
    }
}

#[test]
fn a_transposed_gradient_reaches_the_right_parameters() {
    for recipe in every_rule() {
        let values: Vec<f64> = (0..6).map(|i| f64::from(i) + 1.0).collect();
        let weights = Tensor::from_slice(&values, (2, 3), &Device::Cpu).unwrap();
        let var = Var::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(vec![var.clone()], &recipe, 1).unwrap();
        // sum(varᵀ ⊙ w): the gradient is wᵀ, a view of a (2, 3) tensor.
        let product = (var.t().unwrap() * &weights).unwrap();
        let gradients = product.sum_all().unwrap().backward().unwrap();
        optimizer.step(&gradients).unwrap();

        // A second optimiser, given the same gradient laid out plainly.
        let plain = Var::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
        let mut reference = Optimizer::new(vec![plain.clone()], &recipe, 1).unwrap();
        step(&mut reference, &plain, &weights.t().unwrap().contiguous().unwrap()).unwrap();
        assert_eq!(var.to_vec2::<f64>().unwrap(), plain.to_vec2::<f64>().unwrap());
    }
}

#[test]
fn averages_that_only_decay_end_at_zero_and_not_in_denormals() {
    for recipe in every_rule() {
        let var = Var::from_slice(&[1.0_f32; 4], 4, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(vec![var.clone()], &recipe, 1).unwrap();
        let learning = var.sum_all().unwrap().backward().unwrap();
        optimizer.step(&learning).unwrap();
        let elsewhere = one().sum_all().unwrap().backward().unwrap();
        let zeros = var.zeros_like().unwrap();
        let still = (var.as_tensor() * zeros).unwrap().sum_all().unwrap().backward().unwrap();
        for round in 0..1_000 {
            optimizer.step(if round % 2 == 0 { &elsewhere } else { &still }).unwrap();
        }
        for average in optimizer.averages(0).unwrap() {
            assert_eq!(average.to_vec1::<f32>().unwrap(), [0.0; 4]);
        }
    }
}

#[test]
fn a_variable_of_another_type_is_refused() {
    let var = Var::zeros(3, DType::BF16, &Device::Cpu).unwrap();
    let error = Optimizer::new(vec![var], &Recipe::default(), 1).unwrap_err();
    assert!(error.to_string().contains("f32 or f64"), "{error}");
}

#[test]
fn several_variables_of_any_shape_learn_side_by_side() {
    for recipe in every_rule() {
        let shapes: [&[usize]; 4] = [&[], &[3], &[2, 3], &[3, 3, 2, 4]];
        let vars: Vec<Var> =
            shapes.iter().map(|s| Var::ones(*s, DType::F32, &Device::Cpu).unwrap()).collect();
        let mut optimizer = Optimizer::new(vars.clone(), &recipe, 1).unwrap();
        let zero = Tensor::zeros((), DType::F32, &Device::Cpu).unwrap();
        let loss = vars.iter().try_fold(zero, |sum, v| sum + v.as_tensor().sqr()?.sum_all()?);
        optimizer.step(&loss.unwrap().backward().unwrap()).unwrap();
        // All have the same gradient and so take the same step, down the slope.
        for var in &vars {
            let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(values.iter().all(|x| *x == values[0] && *x < 1.0), "{values:?}");
        }
    }
}

/// What a rule remembers and how it moves, composed of candle's operations from the published
/// formulas, number by number in f64.
struct Composed {
    rule: Rule,
    memory: [Tensor; 2],
}

impl Composed {
    fn step(&mut self, rate: f64, updates: u64, p: &Tensor, g: &Tensor) -> Result<Tensor> {
        let [first, second] = &mut self.memory;
        let mean = |old: &Tensor, kept: f64, new: &Tensor| (old * kept)? + (new * (1.0 - kept))?;
        match self.rule {
            Rule::Adadelta(Adadelta { rho, epsilon }) => {
                *first = mean(first, rho, &g.sqr()?)?;
                let root = |x: &Tensor| (x + epsilon)?.sqrt();
                let u = ((g * root(second)?)? / root(first)?)?;
                *second = mean(second, rho, &u.sqr()?)?;
                p - (u * rate)?
            }
            Rule::Rmsprop(Rmsprop { rho, epsilon }) => {
                *first = mean(first, rho, &g.sqr()?)?;
                p - ((g * rate)? / (first.sqrt()? + epsilon)?)?
            }
            Rule::Adam(Adam { beta1, beta2, epsilon }) => {
                *first = mean(first, beta1, g)?;
                *second = mean(second, beta2, &g.sqr()?)?;
                // The paper's first form, on corrected means, with the epsilon hat of its second.
                let t = i32::try_from(updates).unwrap() + 1;
                let m = (&*first / (1.0 - beta1.powi(t)))?;
                let root = (1.0 - beta2.powi(t)).sqrt();
                let v = ((second.sqrt()? / root)? + epsilon / root)?;
                p - ((m * rate)? / v)?
            }
            Rule::Sgd(Sgd { momentum }) => {
                *first = ((&*first * momentum)? - (g * rate)?)?;
                p + &*first
            }
        }
    }
}

/// The rule of this number, with these shares kept.
fn rule(number: usize, rho: f64, momentum: f64, epsilon: f64) -> Rule {
    match number {
        0 => Rule::Adadelta(Adadelta { rho, epsilon }),
        1 => Rule::Rmsprop(Rmsprop { rho, epsilon }),
        2 => Rule::Adam(Adam { beta1: momentum, beta2: rho, epsilon }),
        _ => Rule::Sgd(Sgd { momentum }),
    }
}

proptest::proptest! {
    #[test]
    fn every_rule_moves_as_its_formulas_do(
        number in 0_usize..4,
        rho in 0.0..0.999_f64,
        momentum in 0.0..0.99_f64,
        epsilon in 1e-8..1e-2_f64,
        rate in 1e-4..1.0_f64,
        warmup in 0_u64..8,
        gradients in proptest::collection::vec(proptest::collection::vec(-2.0..2.0_f64, 3), 1..12),
    ) {
        let rule = rule(number, rho, momentum, epsilon);
        let learning_rate = LearningRate { initial: rate, decay: 0.1, warmup };
        let start = Tensor::new(&[0.3, -1.0, 2.0], &Device::Cpu).unwrap();
        let var = Var::from_tensor(&start).unwrap();
        let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate).unwrap();
        let zeros = start.zeros_like().unwrap();
        let mut composed = Composed { rule, memory: [zeros.clone(), zeros] };
        let mut expected = start;
        for (updates, gradient) in (0_u64..).zip(&gradients) {
            let gradient = Tensor::new(gradient.as_slice(), &Device::Cpu).unwrap();
            step(&mut optimizer, &var, &gradient).unwrap();
            let risen = if warmup == 0 { 1.0 } else { (updates + 1).min(warmup) as f64 / warmup as f64 };
            let rate = rate / (1.0 + 0.1 * updates as f64) * risen;
            expected = composed.step(rate, updates, &expected, &gradient).unwrap();
            let (actual, expected) =
                (var.to_vec1::<f64>().unwrap(), expected.to_vec1::<f64>().unwrap());
            for (actual, expected) in actual.iter().zip(&expected) {
                let close = (actual - expected).abs() <= 1e-9 * expected.abs().max(1.0);
                proptest::prop_assert!(close, "{rule:?}: {actual} is not {expected}");
            }
        }
    }
}

#[test]
fn rmsprop_has_pytorchs_form_too() {
    let group = fixtures("pytorch_contrast");
    assert_eq!(group["rmsprop_same_formula_when_alpha_eq_rho_and_momentum_0"], true);
    let defaults = &group["defaults"]["torch.RMSprop"];
    let (alpha, epsilon, rate) =
        (number(&defaults["alpha"]), number(&defaults["eps"]), number(&defaults["lr"]));
    let var = one();
    let learning_rate = LearningRate { initial: rate, decay: 0.0, warmup: 0 };
    let rule = Rule::Rmsprop(Rmsprop { rho: alpha, epsilon });
    let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate).unwrap();
    let (mut p, mut square_avg) = (1.0_f64, 0.0_f64);
    for g in [0.3, -2.0, 1e-7, 0.0, 5.0] {
        square_avg = square_avg * alpha + g * g * (1.0 - alpha);
        p -= rate * g / (square_avg.sqrt() + epsilon);
        step(&mut optimizer, &var, &constant(g)).unwrap();
        assert_close(scalar(&var), p, "PyTorch's formula");
    }
}

#[test]
fn adams_first_step_is_one_rate_and_momentum_lengthens_steps_tenfold() {
    let learning_rate = LearningRate { initial: 0.01, decay: 0.0, warmup: 0 };
    let var = one();
    let adam = Rule::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-9 });
    let mut optimizer = Optimizer::with_rule(vec![var.clone()], adam, learning_rate).unwrap();
    step(&mut optimizer, &var, &constant(37.0)).unwrap();
    assert!((1.0 - scalar(&var) - 0.01).abs() < 1e-9, "{}", scalar(&var));

    let var = one();
    let sgd = Rule::Sgd(Sgd { momentum: 0.9 });
    let mut optimizer = Optimizer::with_rule(vec![var.clone()], sgd, learning_rate).unwrap();
    let mut before = 1.0;
    for _ in 0..200 {
        before = scalar(&var);
        step(&mut optimizer, &var, &constant(1.0)).unwrap();
    }
    // rate / (1 − momentum)
    assert!((before - scalar(&var) - 0.1).abs() < 1e-9);
}

#[test]
fn a_warm_up_rises_update_by_update_to_the_full_rate() {
    let recipe = Recipe { learning_rate: 0.6, decay: 0.0, warmup_epochs: 2, ..Recipe::default() };
    let rate = LearningRate::from_recipe(&recipe, 3);
    let rates: Vec<f64> = (0..8).map(|updates| rate.after(updates)).collect();
    for (actual, expected) in rates.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6]) {
        assert_close(*actual, expected, "rate");
    }
    let decayed = LearningRate { decay: 0.5, ..rate };
    assert_close(decayed.after(3), 0.4 / 2.5, "on top of the decay");
    let none = LearningRate::from_recipe(&Recipe { warmup_epochs: 0, ..recipe }, 3);
    assert_eq!(none.after(0), 0.6);
}

#[test]
fn an_optimiser_that_is_resumed_goes_on_bit_by_bit() {
    for recipe in every_rule() {
        let start = [0.5_f32, -1.5, 3.0];
        let var = || Var::from_slice(&start, 3, &Device::Cpu).unwrap();
        let (straight, resumed) = (var(), var());
        let learn = |optimizer: &mut Optimizer, var: &Var| {
            let gradients = var.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step(&gradients).unwrap();
        };
        let mut first = Optimizer::new(vec![straight.clone()], &recipe, 1).unwrap();
        (0..5).for_each(|_| learn(&mut first, &straight));
        resumed.set(&straight.as_detached_tensor().copy().unwrap()).unwrap();
        let mut second = Optimizer::new(vec![resumed.clone()], &recipe, 1).unwrap();
        let averages = [first.averages(0).unwrap()];
        second.resume(5, &averages).unwrap();
        for _ in 0..5 {
            learn(&mut first, &straight);
            learn(&mut second, &resumed);
        }
        let bits = |var: &Var| var.to_vec1::<f32>().unwrap();
        assert_eq!(bits(&straight), bits(&resumed), "{:?}", recipe.optimizer);
        assert_eq!(second.learning_rate(), first.learning_rate());
        second.resume(5, &[]).unwrap_err();
        second.resume(5, &[vec![]]).unwrap_err();
        let flat = |t: &Tensor| t.reshape((1, 3)).unwrap();
        second.resume(5, &[averages[0].iter().map(flat).collect()]).unwrap_err();
    }
}

#[test]
fn behind_candles_trait_it_makes_the_same_updates_and_takes_another_rate() -> Result<()> {
    use candle_nn::Optimizer as _;

    let learning_rate = LearningRate { initial: 0.1, decay: 0.5, warmup: 0 };
    let rule = Rule::Rmsprop(Rmsprop { rho: 0.9, epsilon: 1e-6 });
    let config = whetstone::optim::Config { rule, learning_rate };
    let one = || Var::from_tensor(&Tensor::ones(1, DType::F64, &Device::Cpu)?);
    let (plain, through) = (one()?, one()?);
    let mut direct = Optimizer::with_rule(vec![plain.clone()], rule, learning_rate)?;
    let mut behind: Optimizer = candle_nn::Optimizer::new(vec![through.clone()], config)?;
    for _ in 0..3 {
        step(&mut direct, &plain, &Tensor::new(&[2.0_f64], &Device::Cpu)?)?;
        behind.backward_step(&(through.as_tensor() * 2.0)?.sum_all()?)?;
    }
    assert_eq!(scalar(&plain), scalar(&through));
    // Three updates made: 0.1 / (1 + 0.5 · 3), then from another start.
    assert_eq!(candle_nn::Optimizer::learning_rate(&behind), 0.1 / 2.5);
    behind.set_learning_rate(1.0);
    assert_eq!(candle_nn::Optimizer::learning_rate(&behind), 1.0 / 2.5);
    Ok(())
}
