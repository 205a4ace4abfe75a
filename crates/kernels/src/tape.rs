//! Reverse mode that keeps no more than the way back needs.
//!
//! candle's own reverse mode keeps the arguments and the result of every operation. Layers with frozen weights need
//! neither, sums need nothing, and what a norm gives is cheap to compute again: a network keeps less than half.

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use candle_core::{Shape, Tensor};

use crate::{
    Error, Result,
    error::check_shapes,
    ops::{self, Activation, Affine, AttentionMask, Norm, by_candle, is_fast},
    value::{LinearMap, Value},
};

/// A value with the record of how it came about, from which [`Record::vjp`] finds its way back to the variables.
#[derive(Clone, Debug)]
pub struct Taped {
    value: Tensor,
    record: Record,
    /// Where the value is a norm's: it need not be kept, as it can be computed again.
    normalised: Option<(Norm, Tensor)>,
}

/// What is recorded of a value, without the value itself; nothing where it depends on no variable.
#[derive(Clone, Debug, Default)]
pub struct Record(Option<Arc<Node>>);

/// A vector-Jacobian product: of what was kept, the gradient in the result, and which arguments want theirs, the gradients
/// in the arguments.
type Vjp = dyn Fn(&[Tensor], &Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send + Sync;

struct Node {
    /// Larger than those of its arguments.
    id: u64,
    arguments: Vec<Record>,
    kept: Vec<Tensor>,
    vjp: Box<Vjp>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Node {
    fn new(arguments: Vec<Record>, kept: Vec<Tensor>, vjp: Box<Vjp>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self { id: NEXT.fetch_add(1, Ordering::Relaxed), arguments, kept, vjp })
    }
}

impl Record {
    fn id(&self) -> Option<u64> {
        self.0.as_ref().map(|node| node.id)
    }

    /// Every node that this one came from, and itself, by number.
    fn nodes(self) -> BTreeMap<u64, Arc<Node>> {
        let mut nodes = BTreeMap::new();
        let mut open: Vec<Arc<Node>> = self.0.into_iter().collect();
        while let Some(node) = open.pop() {
            if let Entry::Vacant(place) = nodes.entry(node.id) {
                open.extend(node.arguments.iter().filter_map(|argument| argument.0.clone()));
                place.insert(node);
            }
        }
        nodes
    }

    /// Bytes of the tensors that are kept for the way back, each counted once.
    pub fn kept_bytes(&self) -> u64 {
        let nodes = self.clone().nodes();
        let kept: HashMap<_, u64> = nodes
            .values()
            .flat_map(|node| &node.kept)
            .map(|tensor| (tensor.id(), (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64))
            .collect();
        kept.values().sum()
    }

    /// The gradients in `variables`, in order, of a number whose gradient in this value is `gradient`; `None` where the value
    /// does not depend on a variable. What was kept is given up on the way, unless a clone of the record still holds it. What
    /// leads to none of the variables is not computed.
    ///
    /// # Errors
    ///
    /// When `gradient` has another shape than the value, or an operation fails.
    pub fn vjp(self, gradient: &Tensor, variables: &[&Self]) -> Result<Vec<Option<Tensor>>> {
        let wanted: Vec<Option<u64>> = variables.iter().map(|variable| variable.id()).collect();
        let mut gradients: HashMap<u64, Tensor> = self.id().map(|id| (id, gradient.clone())).into_iter().collect();
        let mut nodes = self.nodes();
        let mut leads: HashSet<u64> = wanted.iter().flatten().copied().collect();
        for (id, node) in &nodes {
            if node.arguments.iter().filter_map(Self::id).any(|id| leads.contains(&id)) {
                leads.insert(*id);
            }
        }
        let mut found = HashMap::new();
        while let Some((id, node)) = nodes.pop_last() {
            let Some(gradient) = gradients.remove(&id) else { continue };
            let is_wanted = |argument: &Self| argument.id().is_some_and(|id| leads.contains(&id));
            let of: Vec<bool> = node.arguments.iter().map(is_wanted).collect();
            if of.contains(&true) {
                let of_arguments = (node.vjp)(&node.kept, &gradient, &of)?;
                for (id, new) in node.arguments.iter().zip(of_arguments).filter_map(|(a, new)| a.id().zip(new)) {
                    let sum = match gradients.remove(&id) {
                        Some(sum) => ops::add(&sum, &new)?,
                        None => new,
                    };
                    gradients.insert(id, sum);
                }
            }
            if wanted.contains(&Some(id)) {
                found.insert(id, gradient);
            }
        }
        Ok(wanted.into_iter().map(|id| found.get(&id?).cloned()).collect())
    }
}

impl Taped {
    /// An input that gradients are taken in.
    pub fn variable(value: &Tensor) -> Self {
        let record = Record(Some(Node::new(vec![], vec![], Box::new(|_, _, _| Ok(vec![])))));
        Self { value: value.detach(), record, normalised: None }
    }

    /// What was recorded of it.
    pub fn record(&self) -> Record {
        self.record.clone()
    }

    /// The value of an operation.
    fn of(
        value: Tensor,
        arguments: &[&Self],
        kept: Vec<Tensor>,
        vjp: impl Fn(&[Tensor], &Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send + Sync + 'static,
    ) -> Self {
        if arguments.iter().all(|argument| argument.record.0.is_none()) {
            return Self::constant(&value);
        }
        let shape = value.shape().clone();
        let checked = move |kept: &[Tensor], gradient: &Tensor, of: &[bool]| {
            check_gradient(&shape, gradient)?;
            vjp(kept, gradient, of)
        };
        let arguments = arguments.iter().map(|argument| argument.record.clone()).collect();
        Self { value, record: Record(Some(Node::new(arguments, kept, Box::new(checked)))), normalised: None }
    }

    /// The value of an operation of one argument.
    fn of_one(
        &self,
        value: Tensor,
        kept: Vec<Tensor>,
        vjp: impl Fn(&[Tensor], &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self::of(value, &[self], kept, move |kept, gradient, _| Ok(vec![Some(vjp(kept, gradient)?)]))
    }
}

fn check_gradient(shape: &Shape, gradient: &Tensor) -> Result<()> {
    let expected = || format!("needs a gradient of the result's shape {:?}", shape.dims());
    check_shapes(shape == gradient.shape(), "vjp", expected, &[gradient.shape()])
}

impl Value for Taped {
    fn constant(tensor: &Tensor) -> Self {
        Self { value: tensor.clone(), record: Record::default(), normalised: None }
    }

    fn primal(&self) -> &Tensor {
        &self.value
    }

    fn linear_map(&self, map: impl LinearMap, transpose: impl LinearMap) -> Result<Self> {
        Ok(self.of_one(map(&self.value)?, vec![], move |_, gradient| transpose(gradient)))
    }

    fn through(&self, layer: &impl Affine) -> Result<Self> {
        let value = layer.apply(&self.value)?;
        let (layer, shape) = (layer.clone(), self.value.shape().clone());
        Ok(self.of_one(value, vec![], move |_, gradient| layer.vjp(&shape, gradient)))
    }

    fn shift_channels(&self, shift: &Tensor) -> Result<Self> {
        let value = ops::shift_channels(&self.value, shift)?;
        Ok(self.of_one(value, vec![], |_, gradient| Ok(gradient.clone())))
    }

    fn add(&self, other: &Self) -> Result<Self> {
        let value = ops::add(&self.value, &other.value)?;
        let both = |_: &[Tensor], gradient: &Tensor, _: &[bool]| Ok(vec![Some(gradient.clone()); 2]);
        Ok(Self::of(value, &[self, other], vec![], both))
    }

    fn concat_channels(&self, other: &Self) -> Result<Self> {
        let value = ops::concat_channels(&self.value, &other.value)?;
        let (first, second) = (self.value.dim(1)?, other.value.dim(1)?);
        Ok(Self::of(value, &[self, other], vec![], move |_, gradient, of| {
            let part = |wanted: bool, from, channels| {
                let part = || Ok::<_, Error>(gradient.narrow(1, from, channels)?.contiguous()?);
                wanted.then(part).transpose()
            };
            Ok(vec![part(of[0], 0, first)?, part(of[1], first, second)?])
        }))
    }

    fn normalise(&self, norm: &Norm) -> Result<Self> {
        let value = norm.apply(&self.value)?;
        let of_vjp = norm.clone();
        let vjp = move |kept: &[Tensor], gradient: &Tensor| of_vjp.vjp(&kept[0], gradient);
        let taped = self.of_one(value, vec![self.value.clone()], vjp);
        Ok(Self { normalised: Some((norm.clone(), self.value.clone())), ..taped })
    }

    fn activate(&self, activation: Activation) -> Result<Self> {
        let value = ops::activate(&self.value, activation)?;
        Ok(match &self.normalised {
            Some((norm, x)) => {
                let norm = norm.clone();
                self.of_one(value, vec![x.clone()], move |kept, gradient| {
                    ops::activation_jvp(&norm.apply(&kept[0])?, gradient, activation)
                })
            }
            None => self.of_one(value, vec![self.value.clone()], move |kept, gradient| {
                ops::activation_jvp(&kept[0], gradient, activation)
            }),
        })
    }

    fn geglu(&self) -> Result<Self> {
        let value = ops::geglu(&self.value)?;
        Ok(self.of_one(value, vec![self.value.clone()], |kept, gradient| ops::geglu_vjp(&kept[0], gradient)))
    }

    fn attend(&self, key: &Self, value: &Self, heads: usize, mask: AttentionMask) -> Result<Self> {
        let arguments = [self, key, value];
        let mut kept: Vec<Tensor> = arguments.iter().map(|x| x.value.clone()).collect();
        if !is_fast(&self.value) {
            let result = ops::attention(&kept[0], &kept[1], &kept[2], heads, mask)?;
            return Ok(Self::of(result, &arguments, kept, move |kept, gradient, _| {
                let attend = |[q, k, v]: &[Tensor; 3]| ops::attention(q, k, v, heads, mask);
                Ok(by_candle([&kept[0], &kept[1], &kept[2]], gradient, attend)?.map(Some).into())
            }));
        }
        let (result, softmax) = ops::attention_with_softmax(&kept[0], &kept[1], &kept[2], heads, mask)?;
        kept.extend([result.clone(), softmax]);
        Ok(Self::of(result, &arguments, kept, move |kept, gradient, of| {
            let [q, k, v, result, softmax] = kept else { return Ok(vec![]) };
            ops::attention_vjp([q, k, v], (result, softmax), gradient, of, heads, mask)
        }))
    }
}
