//! Models, VAEs and LoRA files as torch.save writes them: the numbers of the same tensors in safetensors, and no code run.

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use memscope_model::{Blueprint, Error, FileOptions, LatentDiffusion, Lora, ModelSource, ModelSummary, ScheduleCheck};
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    common::relative_l2,
    folders::{Folder, case, described, fixtures, original, output},
};

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn sizes(sizes: &[usize]) -> Vec<u8> {
    let ints = sizes.iter().flat_map(|size| [&b"J"[..], &(*size as i32).to_le_bytes()].concat());
    [&b"("[..], &ints.collect::<Vec<_>>(), b"t"].concat()
}

/// The tensors of a safetensors file as torch.save writes a dictionary, below a key where one is given.
fn as_pickle(tensors: &Path, below: Option<&str>) -> Vec<u8> {
    let bytes = fs::read(tensors).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(bytes).unwrap();
    };
    let mut pickle = b"}(".to_vec();
    for (key, (name, view)) in file.iter().enumerate() {
        let storage = match view.dtype() {
            Dtype::F32 => "FloatStorage",
            Dtype::F16 => "HalfStorage",
            Dtype::I64 => "LongStorage",
            other => panic!("{other:?}"),
        };
        let shape = view.shape();
        let strides: Vec<usize> = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
        let count: usize = shape.iter().product();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([text("storage"), format!("ctorch\n{storage}\n").into(), text(&key.to_string())].concat());
        pickle.extend([text("cpu"), [&b"J"[..], &(count as i32).to_le_bytes()].concat(), b"tQK\0".to_vec()].concat());
        pickle.extend([sizes(shape), sizes(&strides), b"\x89ccollections\nOrderedDict\n)RtR".to_vec()].concat());
        add(&format!("archive/data/{key}"), view.data());
    }
    pickle.push(b'u');
    if let Some(key) = below {
        pickle = [&b"}"[..], &text(key), &pickle, b"s"].concat();
    }
    add("archive/data.pkl", &[&b"\x80\x02"[..], &pickle, b"."].concat());
    zip.finish().unwrap().into_inner()
}

fn formats(name: &str) -> PathBuf {
    fixtures().join("formats").join(name)
}

fn file(path: &Path) -> ModelSource {
    described(path.to_str().unwrap().parse().unwrap())
}

#[test]
fn a_checkpoint_of_torch_gives_the_bits_of_its_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let safe = LatentDiffusion::load(&file(&formats("tiny-sd1.safetensors"))).unwrap();
    for (name, below) in [("plain.ckpt", None), ("trainer.ckpt", Some("state_dict")), ("named.other", None)] {
        let path = folder.path().join(name);
        fs::write(&path, as_pickle(&formats("tiny-sd1.safetensors"), below)).unwrap();
        let model = LatentDiffusion::load(&file(&path)).unwrap();
        assert_eq!(relative_l2(&output(&model), &output(&safe)), 0.0, "{name}");
        let [a, b] = [&model, &safe].map(|model| model.encode_prompts(&["a red hat"]).unwrap().remove(0));
        assert_eq!(relative_l2(&a.embedding, &b.embedding), 0.0, "{name}");
        let latent = &case("vae")["latent"];
        let [a, b] = [&model, &safe].map(|model| model.vae().unwrap().decode(latent).unwrap());
        assert_eq!(relative_l2(&a, &b), 0.0, "{name}");
        assert_ne!(model.fingerprint(), safe.fingerprint());
        assert_eq!(ModelSummary::of(&file(&path)).unwrap().unused.len(), 2, "{name}");
    }
}

/// `scripts/fixtures/make_torch_files.py` saved the VAE and the text encoder with torch.
#[test]
fn a_folder_of_torch_files_gives_the_bits_of_its_safetensors() {
    let folder = Folder::of(&original());
    let put = |from: &str, to: &str| fs::copy(formats(from), folder.path(to)).unwrap();
    fs::remove_file(folder.path("vae/diffusion_pytorch_model.safetensors")).unwrap();
    fs::remove_file(folder.path("text_encoder/model.safetensors")).unwrap();
    put("torch/vae.bin", "vae/diffusion_pytorch_model.bin");
    put("torch/text_encoder.bin", "text_encoder/pytorch_model.bin");
    let index = "unet/diffusion_pytorch_model.safetensors.index.json";
    let map = fs::read_to_string(folder.path(index)).unwrap().replace(".safetensors", ".bin");
    for part in ["00001", "00002"] {
        let path = folder.path(&format!("unet/diffusion_pytorch_model-{part}-of-00002.safetensors"));
        fs::write(path.with_extension("bin"), as_pickle(&path, None)).unwrap();
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(folder.path(index)).unwrap();
    fs::write(folder.path("unet/diffusion_pytorch_model.bin.index.json"), map).unwrap();
    let [pickled, safe] = [folder.load().unwrap(), LatentDiffusion::load(&ModelSource::folder(original())).unwrap()];
    assert_eq!(relative_l2(&output(&pickled), &output(&safe)), 0.0);
    let [a, b] = [&pickled, &safe].map(|model| model.encode_prompts(&["a red hat"]).unwrap().remove(0));
    assert_eq!(relative_l2(&a.embedding, &b.embedding), 0.0);
    let latent = &case("vae")["latent"];
    let [a, b] = [&pickled, &safe].map(|model| model.vae().unwrap().decode(latent).unwrap());
    assert_eq!(relative_l2(&a, &b), 0.0);
    assert_ne!(pickled.fingerprint(), safe.fingerprint());
    // safetensors come first, whatever lies beside them.
    fs::copy(
        original().join("vae/diffusion_pytorch_model.safetensors"),
        folder.path("vae/diffusion_pytorch_model.safetensors"),
    )
    .unwrap();
    fs::write(folder.path("vae/diffusion_pytorch_model.bin"), b"not looked at").unwrap();
    folder.load().unwrap().vae().unwrap();
}

#[test]
fn a_vae_and_lora_files_of_torch_are_those_of_safetensors() {
    let options = |vae| FileOptions { config: Some(original()), vae: Some(vae), ..FileOptions::default() };
    let model = |vae| {
        let source: ModelSource = formats("tiny-sd1.safetensors").to_str().unwrap().parse().unwrap();
        LatentDiffusion::load(&source.with_file_options(options(vae)).unwrap()).unwrap()
    };
    let latent = &case("vae")["latent"];
    let [a, b] = [formats("torch/vae.bin"), original().join("vae/diffusion_pytorch_model.safetensors")]
        .map(|vae| model(vae).vae().unwrap().decode(latent).unwrap());
    assert_eq!(relative_l2(&a, &b), 0.0);
    for kind in ["full", "kohya", "lokr"] {
        let load = |file| {
            let loras = vec![Lora { file, scale: 0.75 }];
            LatentDiffusion::load(&ModelSource::folder(original()).with_loras(loras)).unwrap()
        };
        let [a, b] =
            [format!("torch/lora-{kind}.pt"), format!("lora-{kind}.safetensors")].map(|name| load(formats(&name)));
        assert_eq!(relative_l2(&output(&a), &output(&b)), 0.0, "{kind}");
    }
}

#[test]
fn hostile_and_damaged_files_are_refused_with_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.ckpt");
    let refusal = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = Blueprint::read(&file(&path), ScheduleCheck::Protocol).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::TorchFile { .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with(path.to_str().unwrap()) && !message.contains('\n'), "{message}");
        message
    };
    let zipped = |pickle: &[u8]| {
        let mut zip = ZipWriter::new(Cursor::new(vec![]));
        zip.start_file("archive/data.pkl", SimpleFileOptions::default()).unwrap();
        zip.write_all(pickle).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let message = refusal(&zipped(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."));
    assert!(message.contains("'os.system'") && message.contains("nothing of it was run"), "{message}");
    let whole = as_pickle(&formats("lora-kohya.safetensors"), None);
    assert!(refusal(&whole[..whole.len() / 2]).contains("download or copy it again"));
    for other in [&b""[..], b"PK", b"\x80\x04\x95", b"a text that is no model"] {
        assert!(refusal(other).contains("torch.save"), "{}", refusal(other));
    }
    assert!(refusal(&zipped(b"\x80\x02}.")).contains("names no tensors"));
    // What can be read is judged by its tensors.
    fs::write(&path, &whole).unwrap();
    let error = Blueprint::read(&file(&path), ScheduleCheck::Protocol).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("--lora"), "{error}");
    let folder = Folder::of(&original());
    fs::remove_file(folder.path("vae/diffusion_pytorch_model.safetensors")).unwrap();
    fs::write(folder.path("vae/diffusion_pytorch_model.bin"), zipped(b"\x80\x02cposix\nsystem\n)R.")).unwrap();
    folder.set("vae/config.json", "scaling_factor", json!(0.5));
    let error = folder.load().unwrap().vae().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("vae/diffusion_pytorch_model.bin") && error.contains("posix.system"), "{error}");
}
