//! The keys of LoRA files: which module of which network they change, and which part of the change they hold.

use std::collections::{BTreeMap, HashMap};

use crate::{
    checkpoint::ldm_of_unet,
    tensor_file::{Header, Stored},
};

/// The network that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    UNet,
    Text,
    SecondText,
    Unsaid,
}

/// All keys of one module.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// As the file writes it.
    pub(super) name: String,
    pub(super) component: Component,
    /// The module in the network: dotted, or with underscores for every dot.
    path: String,
    pub(super) parts: BTreeMap<&'static str, Stored>,
    /// What the file's metadata say about alpha, where there is no key for it.
    pub(super) alpha: Option<f64>,
    /// Whether the factor is alpha over the rank's root.
    pub(super) by_root: bool,
    /// Whether the change is to the bias.
    pub(super) bias: bool,
}

/// Ends of keys and the parts they are, in the order of their search. kohya-ss/sd-scripts `networks/lora.py`, diffusers
/// `utils/state_dict_utils.py`, PEFT `tuners/lora/layer.py`, KohakuBlueleaf/LyCORIS `lycoris/modules/`.
const PARTS: [(&str, &str); 33] = [
    (".lora_down.weight", "down"),
    (".lora_up.weight", "up"),
    (".lora_mid.weight", "mid"),
    (".lora_A.default.weight", "down"),
    (".lora_B.default.weight", "up"),
    (".lora_A.default_0.weight", "down"),
    (".lora_B.default_0.weight", "up"),
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
    (".lora_linear_layer.down.weight", "down"),
    (".lora_linear_layer.up.weight", "up"),
    (".lora.down.weight", "down"),
    (".lora.up.weight", "up"),
    ("_lora.down.weight", "down"),
    ("_lora.up.weight", "up"),
    (".lora_magnitude_vector.weight", "magnitude"),
    (".lora_magnitude_vector.default.weight", "magnitude"),
    (".lora_magnitude_vector", "magnitude"),
    (".dora_scale", "dora"),
    (".alpha", "alpha"),
    (".hada_w1_a", "w1_a"),
    (".hada_w1_b", "w1_b"),
    (".hada_w2_a", "w2_a"),
    (".hada_w2_b", "w2_b"),
    (".hada_t1", "t1"),
    (".hada_t2", "t2"),
    (".lokr_w1", "kron_w1"),
    (".lokr_w1_a", "kron_w1_a"),
    (".lokr_w1_b", "kron_w1_b"),
    (".lokr_w2", "kron_w2"),
    (".lokr_w2_a", "kron_w2_a"),
    (".lokr_w2_b", "kron_w2_b"),
    (".lokr_t2", "kron_t2"),
];

/// Whole differences of weight and bias.
const DIFFERENCES: [(&str, &str); 2] = [(".diff", "difference"), (".diff_b", "difference")];

/// Beginnings of keys and the networks they name.
const COMPONENTS: [(&str, Component); 9] = [
    ("lora_unet_", Component::UNet),
    ("lycoris_unet_", Component::UNet),
    ("lora_te1_", Component::Text),
    ("lora_te2_", Component::SecondText),
    ("lora_te_", Component::Text),
    ("unet.", Component::UNet),
    ("text_encoder_2.", Component::SecondText),
    ("text_encoder.", Component::Text),
    ("base_model.model.", Component::Unsaid),
];

/// The modules of a file, and the keys that are not understood.
pub(super) fn modules(header: &Header) -> (Vec<Module>, Vec<String>) {
    let mut modules: BTreeMap<(String, bool), Module> = BTreeMap::new();
    let mut strange = vec![];
    let metadata = Metadata::of(header);
    for (key, stored) in &header.tensors {
        let Some((name, part, bias)) = split(key) else {
            strange.push(key.clone());
            continue;
        };
        let module = modules.entry((name.to_owned(), bias)).or_insert_with(|| {
            let (component, path) = component(name);
            let (alpha, by_root) = metadata.of_component(component);
            let (name, parts) = (name.to_owned(), BTreeMap::new());
            Module { name, component, path, parts, alpha, by_root, bias }
        });
        if module.parts.insert(part, stored.clone()).is_some() {
            strange.push(key.clone());
        }
    }
    if let Some(field) = metadata.unsupported {
        strange.push(field);
    }
    (modules.into_values().collect(), strange)
}

fn split(key: &str) -> Option<(&str, &'static str, bool)> {
    if let Some((end, part)) = DIFFERENCES.iter().find(|(end, _)| key.ends_with(end)) {
        return Some((key.strip_suffix(end)?, part, *end == ".diff_b"));
    }
    PARTS.iter().find_map(|(end, part)| Some((key.strip_suffix(end)?, *part, false)))
}

fn component(name: &str) -> (Component, String) {
    let found = COMPONENTS.iter().find_map(|(start, component)| Some((*component, name.strip_prefix(start)?)));
    let (component, path) = found.unwrap_or((Component::Unsaid, name));
    let path = path.strip_prefix("base_model.model.").unwrap_or(path);
    // Old diffusers: attention processors had the LoRA of their projections.
    let path = path.replace(".processor.to_out", ".to_out.0").replace(".processor.", ".");
    (component, path)
}

/// What diffusers writes about a PEFT adapter: `lora_adapter_metadata`, one JSON text.
struct Metadata {
    fields: serde_json::Map<String, serde_json::Value>,
    /// A field that would change the merge and is not implemented.
    unsupported: Option<String>,
}

impl Metadata {
    fn of(header: &Header) -> Self {
        let text = header.metadata.get("lora_adapter_metadata");
        let fields = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let fields: serde_json::Map<String, serde_json::Value> = fields;
        let patterned = |(field, value): (&String, &serde_json::Value)| {
            let is_set = value.as_object().is_some_and(|patterns| !patterns.is_empty());
            (field.ends_with("alpha_pattern") && is_set).then(|| format!("{field} (metadata)"))
        };
        let unsupported = fields.iter().find_map(patterned);
        Self { fields, unsupported }
    }

    fn of_component(&self, component: Component) -> (Option<f64>, bool) {
        let prefix = match component {
            Component::UNet => "unet.",
            Component::Text => "text_encoder.",
            Component::SecondText => "text_encoder_2.",
            Component::Unsaid => "",
        };
        let field = |name: &str| self.fields.get(&format!("{prefix}{name}"));
        let alpha = field("lora_alpha").and_then(serde_json::Value::as_f64);
        let by_root = field("use_rslora").and_then(serde_json::Value::as_bool).unwrap_or(false);
        (alpha, by_root)
    }
}

/// The tensors of a network by the ways in which files name their modules.
pub(super) struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn of<'a>(folder: &str, tensors: impl Iterator<Item = &'a str>) -> Self {
        let tensors: Vec<&str> = tensors.collect();
        let mut names = HashMap::new();
        let mut add = |module: &str, kind: &str, tensor: &str| {
            names.insert(format!("{}.{kind}", module.replace('.', "_")), tensor.to_owned());
        };
        if folder == "unet" {
            // sd-scripts names SDXL's modules as LDM checkpoints do.
            for (tensor, ldm) in ldm_of_unet(&tensors) {
                if let Some((module, kind)) = ldm.rsplit_once('.') {
                    add(module, kind, tensor);
                }
            }
        }
        for tensor in tensors {
            let Some((module, kind)) = tensor.rsplit_once('.') else { continue };
            // Text encoders stand with and without this level.
            let short = module.strip_prefix("text_model.").unwrap_or(module);
            add(short, kind, tensor);
            add(&format!("text_model.{short}"), kind, tensor);
        }
        Self(names)
    }

    /// The tensor that a module changes.
    pub(super) fn find(&self, folder: &str, module: &Module) -> Option<String> {
        if !module.component.may_be(folder) {
            return None;
        }
        let kind = if module.bias { "bias" } else { "weight" };
        self.0.get(&format!("{}.{kind}", module.path.replace('.', "_"))).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as the libraries write them (diffusers 0.24 and 0.42, PEFT 0.21, sd-scripts, LyCORIS 3).
    #[test]
    fn every_layout_names_the_same_module() {
        let names = Names::of(
            "unet",
            [
                "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.weight",
                "down_blocks.0.resnets.1.conv1.weight",
                "conv_in.weight",
                "conv_in.bias",
            ]
            .into_iter(),
        );
        for key in [
            "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
            "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora.down.weight",
            "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
            "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.down.weight",
            "lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
            "base_model.model.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
        ] {
            let stored = Stored { dtype: safetensors::Dtype::F32, shape: vec![4, 8], start: 0, strides: None };
            let header = Header { metadata: HashMap::new(), tensors: BTreeMap::from([(key.to_owned(), stored)]) };
            let (modules, strange) = modules(&header);
            assert!(strange.is_empty(), "{key}");
            assert!(modules[0].parts.contains_key("down"), "{key}");
            let found = names.find("unet", &modules[0]);
            assert_eq!(
                found.as_deref(),
                Some("down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.weight"),
                "{key}"
            );
        }
        assert_eq!(split("lora_unet_conv_in.diff_b"), Some(("lora_unet_conv_in", "difference", true)));
        assert_eq!(split("lora_unet_conv_in.lokr_w1_a"), Some(("lora_unet_conv_in", "kron_w1_a", false)));
        assert_eq!(split("lora_unet_conv_in.other"), None);
    }

    #[test]
    fn text_encoders_stand_with_and_without_their_first_level() {
        let names = Names::of("text_encoder", ["text_model.encoder.layers.0.mlp.fc1.weight"].into_iter());
        for path in ["text_model_encoder_layers_0_mlp_fc1", "encoder_layers_0_mlp_fc1", "encoder.layers.0.mlp.fc1"] {
            assert!(names.0.contains_key(&format!("{}.weight", path.replace('.', "_"))), "{path}");
        }
    }
}
