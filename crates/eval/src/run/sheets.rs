//! Contact sheets of mitigations: the training picture, then what every method draws from the same noise.

use memscope_judges::Picture;
use memscope_mitigation::Ending;
use memscope_model::{ModelSource, RgbImage};
use memscope_results::{OpenRun, files::read_file, gallery::GalleryRow};

use crate::{
    error::Result,
    score::MitigationResult,
    spec::SheetSettings,
    tasks::{Judging, Mitigations},
};

/// Most bytes of a picture.
const LIMIT: u64 = 64 << 20;

/// Says what went wrong in optimisations, and which prompts cannot be compared.
pub(super) fn warn_of_mitigation(model: &str, result: &MitigationResult) {
    for method in &result.methods {
        let count = |ending: Ending| method.units.iter().filter(|unit| unit.record.ending == ending).count();
        let (broken, of) = (count(Ending::NonFinite), method.units.len());
        if broken > 0 {
            tracing::warn!(
                "{model}: {} of {of} optimisations of {} ended with NaN or infinity; the last good one was drawn",
                broken,
                method.label
            );
        }
        let missed = count(Ending::NotReached);
        if missed > 0 {
            tracing::info!("{model}: {missed} of {of} optimisations of {} did not reach their target", method.label);
        }
    }
    if result.without_picture > 0 {
        let all = result.prompts.len();
        tracing::warn!("{model}: {} of {all} prompts have no training picture to compare with", result.without_picture);
    }
}

/// The rows of a model's sheet: its pictures are copied into the gallery, and put together on one picture.
pub(super) fn sheet_rows(
    source: &ModelSource,
    settings: SheetSettings,
    (task, judging): (&Mitigations, &Judging),
    open: &mut OpenRun,
) -> Result<Vec<GalleryRow>> {
    let gallery = open.folder().gallery();
    let (mut rows, mut sheet) = (vec![], vec![]);
    let prompts = settings.prompts.min(task.prompts.len());
    for prompt in 0..prompts {
        let known = &task.prompts[prompt];
        let training = judging.training().of(prompt).first();
        let mut truth = None;
        if let Some(picture) = training {
            let name = picture.file_name();
            open.write(&gallery.join(&name), &picture.bytes()?)?;
            truth = Some(name);
        }
        for noise in 0..settings.noises.min(task.images()) {
            let (mut drawn, mut labels) = (vec![], vec![]);
            let mut line: Vec<Option<Picture>> = vec![training.map(crate::tasks::TrainingPicture::open).transpose()?];
            let units = task.places().filter(|(_, place)| place.prompt == prompt && place.seed == 0);
            for (unit, place) in units {
                let path = &task.pictures(unit)[noise];
                let bytes = read_file(path, LIMIT)?;
                line.push(Some(Picture::decode(path, &bytes)?));
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("picture.png").to_owned();
                open.write(&gallery.join(&name), &bytes)?;
                drawn.push(name);
                labels.push(task.methods[place.method].label.clone());
            }
            let label = format!("{}, noise {}", known.set, noise + 1);
            let (model, prompt) = (source.to_string(), known.text.to_string());
            rows.push(GalleryRow { model, prompt, label, truth: truth.clone(), drawn, labels });
            sheet.push(line);
        }
    }
    let stem: String = source.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let texts = [("Title", format!("training picture, then {}", labels_of(task))), ("Model", source.to_string())];
    if let Some(picture) = composed(&sheet) {
        open.write(&gallery.join(format!("sheet-{}.png", stem.trim_matches('-'))), &picture.png(&texts)?)?;
    }
    Ok(rows)
}

fn labels_of(task: &Mitigations) -> String {
    task.methods.iter().map(|method| method.label.as_str()).collect::<Vec<_>>().join(", ")
}

/// White space between pictures, in pixels.
const GAP: usize = 4;
/// Pictures narrower than this are shown twice as large.
const SMALL: usize = 128;

/// The pictures of all rows on one; pictures of another size than the first are left out.
fn composed(rows: &[Vec<Option<Picture>>]) -> Option<RgbImage> {
    let first = rows.iter().flatten().flatten().next_back()?;
    let (width, height) = (first.width(), first.height());
    let zoom = if width < SMALL { 2 } else { 1 };
    let (cell_width, cell_height) = (zoom * width + GAP, zoom * height + GAP);
    let columns = rows.iter().map(Vec::len).max()?;
    let (total_width, total_height) = (columns * cell_width + GAP, rows.len() * cell_height + GAP);
    let mut data = vec![255; 3 * total_width * total_height];
    for (row, line) in rows.iter().enumerate() {
        for (column, picture) in line.iter().enumerate() {
            let Some(picture) = picture.as_ref().filter(|p| (p.width(), p.height()) == (width, height)) else {
                continue;
            };
            for y in 0..zoom * height {
                for x in 0..zoom * width {
                    let from = 3 * ((y / zoom) * width + x / zoom);
                    let at = 3 * ((row * cell_height + GAP + y) * total_width + column * cell_width + GAP + x);
                    data[at..at + 3].copy_from_slice(&picture.data()[from..from + 3]);
                }
            }
        }
    }
    Some(RgbImage { width: total_width, height: total_height, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_beside_one_another() {
        let flat = |value| Some(Picture::from_rgb(1, 1, vec![value; 3]).unwrap());
        let sheet = composed(&[vec![None, flat(7)], vec![flat(9), flat(11)]]).unwrap();
        assert_eq!((sheet.width, sheet.height), (2 * 6 + 4, 2 * 6 + 4));
        let at = |x: usize, y: usize| sheet.data[3 * (y * sheet.width + x)];
        assert_eq!([at(4, 4), at(10, 4), at(4, 10), at(11, 11), at(15, 15)], [255, 7, 9, 11, 255]);
        assert!(composed(&[]).is_none());
    }
}
