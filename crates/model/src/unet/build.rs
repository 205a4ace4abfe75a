//! From a network's plan to its steps.

use super::{
    config::UNetShape,
    plan::{BodyPlan, StepPlan},
    resnet::ResNet,
    step::{Body, Step},
    transformer::Transformer,
};
use crate::{
    error::Result,
    layers::{conv2d, group_norm},
    weights::Scope,
};

/// The steps of the network in forward order.
pub(super) fn steps(shape: &UNetShape, scope: &Scope) -> Result<Vec<Step>> {
    let step = |StepPlan { body, skip, .. }| Ok(Step { body: load(shape, body, scope)?, skip });
    shape.steps().into_iter().map(step).collect()
}

fn load(shape: &UNetShape, body: BodyPlan, scope: &Scope) -> Result<Body> {
    Ok(match body {
        BodyPlan::Convolution { path, inputs, outputs, stride } => {
            Body::Convolution(conv2d(inputs, outputs, 3, stride, &scope.at(path))?)
        }
        BodyPlan::Layer { resnet, inputs, outputs, transformer } => {
            let resnet = ResNet::load(inputs, outputs, shape.time_width(), shape.norm_groups, &scope.at(resnet))?;
            let transformer = transformer.map(|plan| Transformer::load(shape, plan, scope)).transpose()?;
            Body::Layer(Box::new(resnet), transformer)
        }
        BodyPlan::Upsample { path, channels } => Body::Upsample(conv2d(channels, channels, 3, 1, &scope.at(path))?),
        BodyPlan::Out => {
            const EPS: f64 = 1e-5;
            let first = shape.levels[0].channels;
            let norm = group_norm(shape.norm_groups, first, EPS, &scope.at("conv_norm_out"))?;
            Body::Out(norm, conv2d(first, shape.out_channels, 3, 1, &scope.at("conv_out"))?)
        }
    })
}
