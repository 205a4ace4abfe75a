//! The texts that a PNG file carries, and the prompt among them.

use std::{io::Cursor, path::Path};

use crate::{
    error::{Error, Result},
    picture::read,
};

/// Most bytes of a text once it is unpacked, and of all that the decoder keeps.
const MAX_TEXT: usize = 1 << 20;
const MAX_KEPT: usize = 64 << 20;

/// Keyword and text of the `tEXt`, `zTXt` and `iTXt` chunks before the pixels of a PNG file; none for other files.
///
/// # Errors
/// When the file cannot be read.
pub fn png_texts(path: &Path) -> Result<Vec<(String, String)>> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"\x89PNG") {
        return Ok(vec![]);
    }
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(&bytes), png::Limits { bytes: MAX_KEPT });
    decoder.set_ignore_text_chunk(false);
    let reader = decoder.read_info().map_err(|e| Error::Picture { path: path.to_owned(), reason: e.to_string() })?;
    let info = reader.info();
    let mut texts = vec![];
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        if chunk.decompress_text_with_limit(MAX_TEXT).is_ok()
            && let Ok(text) = chunk.get_text()
        {
            texts.push((chunk.keyword, text));
        }
    }
    for chunk in &info.compressed_latin1_text {
        let mut chunk = chunk.clone();
        if chunk.decompress_text_with_limit(MAX_TEXT).is_ok()
            && let Ok(text) = chunk.get_text()
        {
            texts.push((chunk.keyword, text));
        }
    }
    texts.extend(info.uncompressed_latin1_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.text.clone())));
    Ok(texts)
}

/// The prompt among the texts of a PNG file: that of the keyword `prompt` or `description`, in any case; else what stands in
/// `parameters` before the line of the negative prompt or of the settings, as AUTOMATIC1111's web UI writes it. A text that
/// is a JSON object (ComfyUI's graph) is none.
pub fn prompt_of(texts: &[(String, String)]) -> Option<String> {
    let find = |name: &str| {
        let found = texts.iter().find(|(keyword, text)| keyword.eq_ignore_ascii_case(name) && !text.trim().is_empty());
        found.map(|(_, text)| text.trim()).filter(|text| !text.starts_with('{'))
    };
    let parameters = || {
        let is_end = |line: &&str| !line.starts_with("Negative prompt:") && !line.starts_with("Steps:");
        let lines: Vec<&str> = find("parameters")?.lines().take_while(is_end).collect();
        Some(lines.join("\n").trim().to_owned()).filter(|prompt| !prompt.is_empty())
    };
    find("prompt").or_else(|| find("description")).map(str::to_owned).or_else(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(keyword, text)| ((*keyword).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn prompts_are_found_where_programs_write_them() {
        assert_eq!(prompt_of(&texts(&[("Seed", "1"), ("Prompt", "an onion")])).unwrap(), "an onion");
        let webui = "an onion,\nred\nNegative prompt: blue\nSteps: 20, Sampler: DDIM";
        assert_eq!(prompt_of(&texts(&[("parameters", webui)])).unwrap(), "an onion,\nred");
        let comfy = [("prompt", "{\"3\": {}}"), ("workflow", "{}")];
        assert_eq!(prompt_of(&texts(&comfy)), None);
        assert_eq!(prompt_of(&texts(&[("parameters", "Steps: 20")])), None);
    }

    #[test]
    fn all_kinds_of_text_are_read_and_bombs_are_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.add_text_chunk("plain".into(), "a".into()).unwrap();
        encoder.add_ztxt_chunk("packed".into(), "b".into()).unwrap();
        encoder.add_itxt_chunk("Prompt".into(), "東京".into()).unwrap();
        encoder.add_ztxt_chunk("bomb".into(), "0".repeat(4 << 20)).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[1, 2, 3]).unwrap();
        writer.finish().unwrap();
        std::fs::write(&path, bytes).unwrap();
        let mut found = png_texts(&path).unwrap();
        found.sort();
        assert_eq!(found, texts(&[("Prompt", "東京"), ("packed", "b"), ("plain", "a")]));
        std::fs::write(&path, "\u{fffd}").unwrap();
        assert_eq!(png_texts(&path).unwrap(), []);
    }
}
