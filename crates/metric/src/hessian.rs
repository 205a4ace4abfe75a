//! The Hessian of the log-probability along a prompt's trajectory (Figure 1; docs/spec/theory.md §2).

use std::{cell::RefCell, collections::HashMap, num::NonZeroUsize};

use memscope_model::{
    Error, JacobianSide, LatentDiffusion, Parameterization, PredictionInput, Result,
    cost::{Pass, SamplesPerCall},
};

use crate::{
    generation::Generation,
    measure::{Measure, OwnCalls},
    request::PredictionRequest,
    theory::{Jacobian, ProbeVectors, exact, stochastic},
    trajectory::{SAMPLING, along, walk_calls},
};

/// How the eigenvalue variance is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpectrumMethod {
    /// From all columns of the Jacobian of a latent of `dim` = C·H·W numbers.
    Exact {
        /// C·H·W.
        dim: usize,
    },
    /// From random probes.
    Stochastic {
        /// How many.
        probes: usize,
    },
}

/// Whose score is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreKind {
    /// Under the prompt.
    Conditional,
    /// Under the empty prompt.
    Unconditional,
    /// With classifier-free guidance 7.5, which steers the trajectory.
    Guided,
}

impl ScoreKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Conditional, Self::Unconditional, Self::Guided];
}

impl std::fmt::Display for ScoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Conditional => "conditional",
            Self::Unconditional => "unconditional",
            Self::Guided => "guided",
        })
    }
}

/// Variance, spread and shape of the eigenvalues of H = ∇² log p(x_t) at some timesteps of the guided trajectory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HessianSpectrum {
    timesteps: Vec<usize>,
    method: SpectrumMethod,
}

/// Vectors per network call.
pub(crate) const BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");
/// Seed of the random probes, the same for every prompt and timestep, so that curves differ by what they show alone.
const SEED: u64 = 0;
/// The numbers of every timestep and kind: three variances (docs/spec/theory.md §2) with their standard errors, the
/// mean eigenvalue, and 1 − tr J²/tr JJᵀ.
const FIELDS: [&str; 8] = [
    "symmetrized",
    "symmetrized_error",
    "eigenvalues",
    "eigenvalues_error",
    "frobenius",
    "frobenius_error",
    "mean",
    "asymmetry",
];

impl HessianSpectrum {
    /// At these timesteps of the 50-step trajectory.
    pub fn new(timesteps: Vec<usize>, method: SpectrumMethod) -> Self {
        Self { timesteps, method }
    }

    /// The name of a number: one of `symmetrized`, `eigenvalues`, `frobenius`, each also with `_error`, `mean` and
    /// `asymmetry`.
    pub fn name_of(t: usize, kind: ScoreKind, field: &str) -> String {
        format!("t={t}/{kind}/{field}")
    }

    /// The name of the i-th eigenvalue of (J + Jᵀ)/2 under the prompt, ascending; only the exact method has them.
    pub fn eigenvalue_name(t: usize, i: usize) -> String {
        format!("t={t}/eigenvalue/{i}")
    }

    fn kept_eigenvalues(&self) -> usize {
        match self.method {
            SpectrumMethod::Exact { dim } => dim,
            SpectrumMethod::Stochastic { .. } => 0,
        }
    }
}

impl Measure for HessianSpectrum {
    fn id(&self) -> String {
        let method = match self.method {
            SpectrumMethod::Exact { .. } => "exact".to_owned(),
            SpectrumMethod::Stochastic { probes } => format!("probes={probes}"),
        };
        let timesteps: Vec<String> = self.timesteps.iter().map(ToString::to_string).collect();
        format!("hessian/t={}/{method}/f32", timesteps.join(","))
    }

    fn names(&self) -> Vec<String> {
        let mut names = vec![];
        for &t in &self.timesteps {
            for kind in ScoreKind::ALL {
                names.extend(FIELDS.iter().map(|field| Self::name_of(t, kind, field)));
            }
            names.extend((0..self.kept_eigenvalues()).map(|i| Self::eigenvalue_name(t, i)));
        }
        names
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![]
    }

    /// The trajectory, and for every timestep the products with both Jacobians.
    fn own(&self) -> Vec<OwnCalls> {
        let jacobians = 2 * self.timesteps.len();
        let products = |pass, vectors, samples| OwnCalls {
            pass,
            calls: jacobians * vectors,
            samples_per_call: SamplesPerCall::Fixed(samples),
        };
        let mut own = vec![walk_calls()];
        match self.method {
            SpectrumMethod::Exact { dim } => own.push(products(Pass::Jvp, dim, BATCH.get())),
            SpectrumMethod::Stochastic { probes } => {
                own.extend([products(Pass::Jvp, probes, BATCH.get()), products(Pass::Vjp, probes, 1)]);
            }
        }
        own
    }

    fn most_at_once(&self) -> usize {
        1
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        along(generations, &self.timesteps, |generation, x, t| self.at(generation, x, t))
    }
}

impl HessianSpectrum {
    fn at(&self, generation: &Generation, x: &[f32], t: usize) -> Result<Vec<f64>> {
        let products = ScoreProducts::new(generation, x, t)?;
        let failed = |error: &dyn std::error::Error| Error::Argument(format!("spectrum at t = {t}: {error}"));
        let (mut values, mut eigenvalues) = (vec![], vec![]);
        for kind in ScoreKind::ALL {
            let jacobian = products.jacobian(kind);
            match self.method {
                SpectrumMethod::Exact { .. } => {
                    let spectrum = exact(&jacobian, BATCH).map_err(|e| failed(&e))?;
                    let v = spectrum.variances;
                    values.extend([v.symmetrized, 0.0, v.eigenvalues, 0.0, v.frobenius, 0.0]);
                    values.extend([spectrum.mean, spectrum.asymmetry]);
                    if kind == ScoreKind::Conditional {
                        eigenvalues = spectrum.eigenvalues;
                    }
                }
                SpectrumMethod::Stochastic { probes } => {
                    let probes = ProbeVectors { count: probes, batch: BATCH, seed: SEED };
                    let spectrum = stochastic(&jacobian, probes).map_err(|e| failed(&e))?;
                    let v = spectrum.variances;
                    for variance in [v.symmetrized, v.eigenvalues, v.frobenius] {
                        values.extend([variance.value, variance.standard_error]);
                    }
                    values.extend([spectrum.mean.value, spectrum.asymmetry.value]);
                }
            }
        }
        values.extend(eigenvalues);
        Ok(values)
    }
}

/// Products with ∂s/∂x at (x, t) under the prompt and under the empty prompt. Both are made when one is asked for, and
/// kept, because the guided score's are combinations of them.
pub struct ScoreProducts<'a> {
    model: &'a LatentDiffusion,
    inputs: [PredictionInput<'a>; 2],
    /// Factor of the raw output's Jacobian in the score's, and the multiple of the identity beside it.
    factor: f64,
    identity: f64,
    known: RefCell<HashMap<Question, [Vec<f64>; 2]>>,
}

/// Which side of the Jacobian, and the vector's bits.
type Question = (JacobianSide, Vec<u32>);

impl<'a> ScoreProducts<'a> {
    /// At `x` (flattened) and timestep `t`, under the prompt and the empty prompt of `generation`.
    ///
    /// # Errors
    /// The schedule has no timestep `t`.
    pub fn new(generation: &Generation<'a>, x: &'a [f32], t: usize) -> Result<Self> {
        let schedule = generation.model().schedule();
        let scales = schedule.scales(t)?;
        let (factor, identity) = match schedule.parameterization() {
            Parameterization::Epsilon => (-1.0 / scales.s, 0.0),
            Parameterization::V => (-scales.a / scales.s, -1.0),
        };
        let inputs = [generation.prompt(), generation.empty()].map(|prompt| PredictionInput { x, t, prompt });
        Ok(Self { model: generation.model(), inputs, factor, identity, known: RefCell::default() })
    }

    /// The Jacobian of one kind of score.
    pub fn jacobian(&self, kind: ScoreKind) -> ScoreJacobian<'_> {
        ScoreJacobian { products: self, kind }
    }

    /// Products of the score's Jacobian, for every vector under the prompt and under the empty one.
    fn get(&self, side: JacobianSide, vectors: &[Vec<f64>]) -> Result<Vec<[Vec<f64>; 2]>> {
        let question = |v: &Vec<f64>| (side, v.iter().map(|x| (*x as f32).to_bits()).collect());
        let questions: Vec<Question> = vectors.iter().map(question).collect();
        if !questions.iter().all(|q| self.known.borrow().contains_key(q)) {
            let numbers: Vec<Vec<f32>> = vectors.iter().map(|v| v.iter().map(|x| *x as f32).collect()).collect();
            let raw = self.model.jacobian_products(&self.inputs, side, &numbers)?;
            for (i, (question, vector)) in questions.iter().zip(vectors).enumerate() {
                let product = |raw: &[f32]| {
                    let entries = raw.iter().zip(vector);
                    entries.map(|(r, v)| self.factor * f64::from(*r) + self.identity * v).collect()
                };
                let both = [0, 1].map(|prompt: usize| product(&raw[prompt][i]));
                self.known.borrow_mut().insert(question.clone(), both);
            }
        }
        let known = self.known.borrow();
        Ok(questions.iter().filter_map(|q| known.get(q).cloned()).collect())
    }
}

/// The Jacobian ∂s/∂x of one kind of score, (d, d), d = C·H·W.
pub struct ScoreJacobian<'a> {
    products: &'a ScoreProducts<'a>,
    kind: ScoreKind,
}

impl ScoreJacobian<'_> {
    fn product(&self, side: JacobianSide, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let of_kind = |[c, u]: [Vec<f64>; 2]| match self.kind {
            ScoreKind::Conditional => c,
            ScoreKind::Unconditional => u,
            ScoreKind::Guided => c.iter().zip(&u).map(|(c, u)| u + SAMPLING.guidance * (c - u)).collect(),
        };
        Ok(self.products.get(side, vectors)?.into_iter().map(of_kind).collect())
    }
}

impl Jacobian for ScoreJacobian<'_> {
    type Error = Error;

    fn dim(&self) -> usize {
        self.products.inputs[0].x.len()
    }

    fn apply(&self, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        self.product(JacobianSide::Jvp, vectors)
    }

    fn apply_transposed(&self, vectors: &[Vec<f64>]) -> Result<Option<Vec<Vec<f64>>>> {
        self.product(JacobianSide::Vjp, vectors).map(Some)
    }
}
