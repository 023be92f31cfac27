//! Sizes and counts of planned networks against fixtures.

use crate::fixture::fixtures;
use recipe::Recipe;
use whetstone::network::{Extent, Plan, PlanError};
use whetstone::ops::sharpened_norm::Pool;

/// The best settings of the paper's Table IV, as far as they decide sizes: filters, features,
/// dense units, center, scale.
fn optimum(dataset: &str) -> (Recipe, Extent, usize) {
    let (filters, features, dense_units, norm_center, image, classes) = match dataset {
        "MNIST" => ([7, 5, 3], [128, 128, 256], 256, false, (28, 1), 10),
        "Fashion-MNIST" => ([3, 3, 5], [128, 128, 512], 512, false, (28, 1), 10),
        "CIFAR-10" => ([3, 5, 5], [64, 256, 512], 512, true, (32, 3), 10),
        "CIFAR-100" => ([3, 5, 5], [128, 256, 512], 1024, false, (32, 3), 100),
        other => panic!("no such optimum: {other}"),
    };
    let recipe = Recipe {
        conv1_filter: filters[0],
        conv2_filter: filters[1],
        conv3_filter: filters[2],
        conv1_features: features[0],
        conv2_features: features[1],
        conv3_features: features[2],
        dense_units,
        norm_center,
        norm_scale: false,
        neurons_per_class: 4,
        ..Recipe::default()
    };
    (recipe, Extent { height: image.0, width: image.0, channels: image.1 }, classes)
}

/// The network of a recipe with pools after these convolutions.
fn planned(recipe: &Recipe, image: Extent, classes: usize, pools: [bool; 3]) -> Plan {
    let mut convolutions = recipe.convolutions();
    for (convolution, pool) in convolutions.iter_mut().zip(pools) {
        convolution.downsampled = pool;
    }
    Plan::with_convolutions(recipe, &convolutions, image, classes).unwrap()
}

#[test]
fn sizes_parameters_and_multiply_adds_are_as_published() {
    let group = fixtures("network_shapes");
    let networks = group["nets"].as_array().unwrap();
    assert_eq!(networks.len(), 12);
    for network in networks {
        let (dataset, pooling) =
            (network["dataset"].as_str().unwrap(), network["pooling"].as_str().unwrap());
        let pools = match pooling {
            "pool after conv1,conv2" => [true, true, false],
            "pool after conv1,2,3" => [true, true, true],
            "pool after conv2 only" => [false, true, false],
            other => panic!("no such pooling: {other}"),
        };
        let (recipe, image, classes) = optimum(dataset);
        let plan = planned(&recipe, image, classes, pools);
        let number = |name: &str| network[name].as_u64().unwrap() as usize;
        assert_eq!(plan.width(), number("output_width"), "{dataset}, {pooling}");
        assert_eq!(plan.layers[3].input.len(), number("flatten"), "{dataset}, {pooling}");
        assert_eq!(plan.parameters(), number("trainable_params"), "{dataset}, {pooling}");
        assert_eq!(plan.multiply_adds(), number("forward_MACs_per_image"), "{dataset}, {pooling}");

        let mut rows = network["layers"].as_array().unwrap().iter();
        for layer in &plan.layers {
            let row = rows.next().unwrap();
            let weights = layer.weights() + layer.features;
            assert_eq!(row[2].as_u64(), Some(weights as u64), "{dataset}, {}", layer.name);
            let norm = if plan.norm_center { layer.features } else { 0 };
            assert_eq!(row[3].as_u64(), Some(norm as u64), "{dataset}, {}", layer.name);
            if layer.pool == Pool::TwoByTwo {
                let output = layer.output();
                let shape = rows.next().unwrap()[1].as_array().unwrap().clone();
                let shape: Vec<usize> =
                    shape.iter().map(|n| n.as_u64().unwrap() as usize).collect();
                assert_eq!(shape, [output.height, output.width, output.channels]);
            }
        }
        assert!(rows.next().is_none());
    }
}

#[test]
fn pools_that_would_leave_no_pixel_are_refused_by_name() {
    let recipe = Recipe { downsampled_blocks: 3, ..Recipe::default() };
    let image = Extent { height: 7, width: 9, channels: 1 };
    let refused = Plan::new(&recipe, image, 10).unwrap_err();
    assert_eq!(refused, PlanError::Vanished { layer: "conv3", height: 1, width: 2 });
    assert!(refused.to_string().contains("conv3"), "{refused}");
    assert!(Plan::new(&recipe, Extent { height: 8, width: 8, channels: 1 }, 10).is_ok());
}
