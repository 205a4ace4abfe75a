//! What `mitigate` asks of the model.

use memscope_eval::{
    Result as EvalResult,
    prompts::{EmbeddedSet, KnownPrompt, PromptSource},
    spec::{MitigationEntry, MitigationName, NoiseSharing},
    task::{ModelIdentity, NoisePlan},
    tasks::{Mitigations, PictureNames, PlannedMethod},
};
use memscope_metric::Protocol;
use memscope_model::{Blueprint, NoisePrecision};

use crate::{args::Mitigate, exit_code::UserError};

/// The prompts that are named and those of a list.
pub(super) fn read_prompts(args: &Mitigate) -> anyhow::Result<Vec<KnownPrompt>> {
    let plain = |text: &String| KnownPrompt::new(text.as_str(), "command line");
    let source = args.model.source()?;
    let mut all: Vec<KnownPrompt> = args.prompts.iter().map(plain).collect();
    if let Some(list) = &args.prompt_list {
        let named = PromptSource::of_argument(list)
            .map_err(|reason| UserError::input(format!("--prompts {list}: {reason}")))?;
        let list = named.load(&source)?;
        list.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        all.extend(list.prompts);
    }
    // A prompt of the program's own lists has its training picture.
    let known = PromptSource::Embedded(EmbeddedSet::Verbatim).load(&source)?.prompts;
    for prompt in &mut all {
        if let Some(planted) = known.iter().find(|planted| planted.text == prompt.text) {
            prompt.image = prompt.image.take().or_else(|| planted.image.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|prompt| seen.insert(prompt.text.clone()));
    all.truncate(args.limit.map_or(usize::MAX, usize::from));
    Ok(all)
}

/// The methods; none comes first.
fn entries(args: &Mitigate) -> Vec<MitigationEntry> {
    let mut entries: Vec<MitigationEntry> = args.methods.clone();
    if !entries.iter().any(|entry| entry.name() == MitigationName::None) {
        entries.insert(0, MitigationEntry::none());
    }
    entries
}

/// Refuses two methods of one name.
pub(super) fn check_labels(args: &Mitigate) -> anyhow::Result<()> {
    let labels: Vec<String> = entries(args).iter().map(MitigationEntry::label).collect();
    match labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label)) {
        None => Ok(()),
        Some((_, label)) => {
            let message = format!("--method: '{label}' is given twice; give each a label: '{{name: ..., label: ...}}'");
            Err(UserError::input(message).into())
        }
    }
}

/// Every method on every prompt.
pub(super) fn task(
    args: &Mitigate,
    blueprint: &Blueprint,
    prompts: Vec<KnownPrompt>,
    model: ModelIdentity,
    names: PictureNames,
) -> EvalResult<Mitigations> {
    let protocol = Protocol::from(args.protocol);
    let entries = entries(args);
    let labels: Vec<String> = entries.iter().map(MitigationEntry::label).collect();
    let method = |(entry, label): (&MitigationEntry, String)| {
        Ok(PlannedMethod { label, method: entry.build(&protocol, blueprint)? })
    };
    let methods = entries.iter().zip(labels).map(method).collect::<EvalResult<Vec<_>>>()?;
    Ok(Mitigations {
        model,
        noise: NoisePlan {
            generator: args.generator,
            precision: NoisePrecision::F32,
            seeds: vec![args.seed],
            generations: usize::from(args.count),
            sharing: NoiseSharing::Shared,
        },
        methods,
        prompts,
        sampling: args.sampling.sampling(),
        detectors: vec![],
        names,
    })
}
