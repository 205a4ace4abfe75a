//! Layer counts of transformers, block by block, against diffusers.

use candle_core::Tensor;
use serde_json::{Value, json};

use crate::folders::{Folder, UNET, first, norm, output};

/// Networks as SSD-1B's: transformers with layer counts of their own, and a middle block of one ResNet or of a transformer of
/// two layers. Every layer has the weights of its transformer's first; the norms and first
/// numbers of `UNet2DConditionModel.from_pretrained(...)(x, 981, context)` (diffusers 0.42.1, torch 2.15).
#[test]
fn transformers_have_layer_counts_of_their_own() {
    let down = json!([[2, 1], [1, 3], [2, 1]]);
    let up = json!([1, [2, 1, 1], [1, 2, 1]]);
    let counts = [
        ("down_blocks.0.attentions.0.", 2),
        ("down_blocks.1.attentions.1.", 3),
        ("up_blocks.1.attentions.0.", 2),
        ("up_blocks.2.attentions.1.", 2),
    ];
    let expected_resnet =
        (32.492921235704195, [-0.5380974411964417, -0.3915724456310272, -0.012178532779216766, -0.377426415681839f32]);
    let expected_attention = (
        32.511979728555325,
        [-0.5893428921699524, -0.37157416343688965, -0.029998473823070526, -0.38521289825439453f32],
    );
    for (mid, mid_layers, (expected, numbers)) in
        [("UNetMidBlock2D", 0, expected_resnet), ("UNetMidBlock2DCrossAttn", 2, expected_attention)]
    {
        let folder = Folder::new();
        folder.set("unet/config.json", "transformer_layers_per_block", down.clone());
        folder.set("unet/config.json", "reverse_transformer_layers_per_block", up.clone());
        folder.set("unet/config.json", "mid_block_type", json!(mid));
        let mut tensors = folder.unet();
        if mid_layers == 0 {
            tensors.retain(|name, _| {
                !name.starts_with("mid_block.attentions") && !name.starts_with("mid_block.resnets.1")
            });
        }
        let of_first: Vec<(String, Tensor)> = tensors
            .iter()
            .filter(|(name, _)| name.contains("blocks.0."))
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect();
        for (path, layers) in counts.into_iter().chain([("mid_block.attentions.0.", mid_layers)]) {
            for (name, tensor) in of_first.iter().filter(|(name, _)| name.starts_with(path)) {
                for layer in 1..layers {
                    tensors.insert(
                        name.replace("transformer_blocks.0.", &format!("transformer_blocks.{layer}.")),
                        tensor.clone(),
                    );
                }
            }
        }
        folder.write(&format!("{UNET}.safetensors"), &tensors);
        let output = output(&folder.load().unwrap());
        assert!((norm(&output) / expected - 1.0).abs() < 1e-5, "{mid}: {}", norm(&output));
        assert!(first(&output).iter().zip(numbers).all(|(got, expected)| (got - expected).abs() < 1e-4), "{mid}");
    }

    for (field, value, word) in [
        // diffusers asks for the way up, too.
        ("reverse_transformer_layers_per_block", Value::Null, "reverse_transformer_layers_per_block"),
        ("transformer_layers_per_block", json!([[2], [1, 3], 1]), "has 1 entries for a block with 2 transformers"),
        ("transformer_layers_per_block", json!([[2, 0], [1, 3], 1]), "from 1 to 64, is 0"),
        ("transformer_layers_per_block", json!([1, 1]), "as many entries as block_out_channels (3)"),
    ] {
        let folder = Folder::new();
        folder.set("unet/config.json", "transformer_layers_per_block", down.clone());
        folder.set("unet/config.json", "reverse_transformer_layers_per_block", up.clone());
        folder.set("unet/config.json", field, value);
        let message = folder.refusal();
        assert!(message.contains("transformer_layers_per_block") && message.contains(word), "{message}");
    }
}
