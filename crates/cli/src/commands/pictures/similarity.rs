//! `memscope similarity`.

use std::{fs, path::Path};

use memscope_eval::tasks::VERBATIM;
use memscope_judges::{
    Judge as _, Picture, PictureFile, Similarity as _, Sscd, Watching as _, most_similar, nearest_by_pixels,
    side_by_side, survey,
};
use memscope_model::RgbImage;
use memscope_results::files::{Existing, write_over};
use serde::Serialize;

use super::{
    Shown, Unreadable, descriptor,
    rows::{RowColumn, RowValue, check_output, table, write},
    unreadable, whole,
};
use crate::{
    args::Similarity,
    messages::note,
    output::{print_json, print_table},
    progress::Progress,
    targets::check_free,
};

/// A picture, and the one that is nearest to it.
#[derive(Serialize)]
struct Row {
    picture: String,
    nearest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f64>,
    /// Pixel RMS; none for pictures of different size.
    rms: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    by: By,
    pictures: Vec<Row>,
    unreadable: Vec<Unreadable>,
    summary: Summary,
}

/// What pictures are compared by.
#[derive(Serialize)]
struct By {
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    judge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocessing: Option<String>,
}

/// All rows together.
#[derive(Serialize)]
struct Summary {
    pictures: usize,
    /// Of the similarity, else of the RMS.
    mean: Option<f64>,
    largest: Option<f64>,
    smallest: Option<f64>,
    threshold: f64,
    /// Pictures whose similarity is above the threshold, or whose RMS is at most that.
    copies: usize,
}

/// The columns; a similarity where there is a copy descriptor.
fn columns(is_descriptor: bool) -> Vec<RowColumn<Row>> {
    let mut columns = vec![
        RowColumn { key: "picture", header: "Picture", value: |row: &Row| RowValue::Text(Some(row.picture.clone())) },
        RowColumn { key: "nearest", header: "Nearest", value: |row| RowValue::Text(row.nearest.clone()) },
        RowColumn { key: "rms", header: "Pixel RMS", value: |row| RowValue::Number(row.rms, 3, "other size") },
    ];
    if is_descriptor {
        let value = |row: &Row| RowValue::Number(row.similarity, 3, "no other picture");
        columns.insert(2, RowColumn { key: "similarity", header: "Similarity", value });
    }
    columns
}

/// `memscope similarity`.
pub(crate) fn run(args: &Similarity) -> anyhow::Result<()> {
    check_output(&args.output)?;
    let (first, second) = (PictureFile::list(&args.first)?, PictureFile::list(&args.second)?);
    if let Some(folder) = &args.maps {
        first.iter().try_for_each(|file| check_free(&folder.join(map_name(file)), args.output.overwrite))?;
    }
    let sscd = descriptor(&args.judges, args.pixels)?;
    if sscd.is_none() && args.maps.is_some() {
        return Err(crate::exit_code::UserError::input("--maps needs a copy descriptor; give --judges").into());
    }
    let mut progress = Progress::install()?;
    let (rows, unreadable) = match &sscd {
        Some(sscd) => by_descriptor(args, sscd, [&first, &second], &mut progress)?,
        None => by_pixels(args, [&first, &second], &mut progress)?,
    };
    let by = By {
        by: if sscd.is_some() { "descriptor" } else { "pixels" },
        judge: sscd.as_ref().map(|sscd| sscd.name().to_owned()),
        preprocessing: sscd.as_ref().map(|sscd| sscd.preprocessing().label()),
    };
    let columns = columns(sscd.is_some());
    write(&args.output, &rows, &columns)?;
    let threshold = args.threshold.unwrap_or_else(|| sscd.as_ref().map_or(VERBATIM, Sscd::copy_threshold));
    let summary = summary(&rows, &by, threshold);
    if args.output.json {
        return print_json(&Report { by, pictures: rows, unreadable, summary });
    }
    let mut table = table("similarity", "Nearest pictures", &rows, &columns)?;
    let by = match (&by.judge, &by.preprocessing) {
        (Some(judge), Some(preprocessing)) => format!("{judge}, {preprocessing}"),
        _ => "pixels".to_owned(),
    };
    table.set_provenance("compared by", by);
    let bound = if sscd.is_some() { "similarity above" } else { "pixel RMS at most" };
    table.set_provenance(
        "copies",
        format!("{} of {} ({bound} {})", summary.copies, summary.pictures, summary.threshold),
    );
    print_table(&table)
}

fn summary(rows: &[Row], by: &By, threshold: f64) -> Summary {
    let is_descriptor = by.by == "descriptor";
    let values: Vec<f64> = rows.iter().filter_map(|row| if is_descriptor { row.similarity } else { row.rms }).collect();
    let is_copy = |value: &&f64| if is_descriptor { **value > threshold } else { **value <= threshold };
    Summary {
        pictures: rows.len(),
        mean: (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
        largest: values.iter().copied().reduce(f64::max),
        smallest: values.iter().copied().reduce(f64::min),
        threshold,
        copies: values.iter().filter(is_copy).count(),
    }
}

fn by_descriptor(
    args: &Similarity,
    sscd: &Sscd,
    [first, second]: [&[PictureFile]; 2],
    progress: &mut Progress,
) -> anyhow::Result<(Vec<Row>, Vec<Unreadable>)> {
    progress.what("training pictures");
    let known = whole(survey(second, &mut Shown(progress), |pictures| sscd.describe(pictures))?)?;
    let mut left_out = unreadable(second, &known, &args.second)?;
    progress.what("pictures");
    let seen = whole(survey(first, &mut Shown(progress), |pictures| sscd.describe(pictures))?)?;
    left_out.extend(unreadable(first, &seen, &args.first)?);
    let mut rows = vec![];
    progress.what("nearest pictures");
    let total = seen.seen.len();
    for (done, (place, descriptor)) in seen.seen.iter().enumerate() {
        whole(Shown(progress).goes_on(done, total).then_some(()))?;
        let Some(file) = first.get(*place) else { continue };
        let nearest = most_similar(descriptor, &known.seen, |other| file.is_same(&second[other]))?;
        let other = nearest.and_then(|(place, _)| second.get(place));
        let (mut rms, similarity) = (None, nearest.map(|(_, cosine)| cosine));
        if let (Some(other), Some(similarity)) = (other, similarity) {
            let (picture, nearest) = (Picture::open(&file.path)?, Picture::open(&other.path)?);
            rms = picture.rms(&nearest);
            if let Some(folder) = &args.maps {
                write_map(args, sscd, folder, (file, &picture), (other, &nearest), similarity)?;
            }
        }
        rows.push(Row { picture: file.name.clone(), nearest: other.map(|other| other.name.clone()), similarity, rms });
    }
    whole(Shown(progress).goes_on(total, total).then_some(()))?;
    if let Some(folder) = &args.maps {
        note(&format!("maps are in {}", folder.display()));
    }
    Ok((rows, left_out))
}

fn by_pixels(
    args: &Similarity,
    [first, second]: [&[PictureFile]; 2],
    progress: &mut Progress,
) -> anyhow::Result<(Vec<Row>, Vec<Unreadable>)> {
    progress.what("reading pictures");
    let mut left_out = vec![];
    let mut readable = |files: &[PictureFile], folder: &Path| -> anyhow::Result<Vec<usize>> {
        let read = survey(files, &mut Shown(progress), |pictures| Ok(vec![(); pictures.len()]))?;
        let read = whole(read)?;
        left_out.extend(unreadable(files, &read, folder)?);
        Ok(read.seen.into_iter().map(|(place, ())| place).collect())
    };
    let places = [readable(first, &args.first)?, readable(second, &args.second)?];
    let pictures: Vec<&PictureFile> = places[0].iter().map(|place| &first[*place]).collect();
    let others: Vec<&PictureFile> = places[1].iter().map(|place| &second[*place]).collect();
    progress.what("comparing pixels");
    let nearest = whole(nearest_by_pixels(&pictures, &others, &mut Shown(progress))?)?;
    let row = |(file, nearest): (&&PictureFile, Option<(usize, f64)>)| Row {
        picture: file.name.clone(),
        nearest: nearest.and_then(|(place, _)| Some(others.get(place)?.name.clone())),
        similarity: None,
        rms: nearest.map(|(_, rms)| rms),
    };
    Ok((pictures.iter().zip(nearest).map(row).collect(), left_out))
}

fn map_name(file: &PictureFile) -> String {
    format!("{}-map.png", file.name.replace(['/', '\\'], "-"))
}

/// A picture and the one that is nearest to it, each reddened where the similarity comes from, as PNG.
pub(crate) fn map_png(
    sscd: &Sscd,
    (name, picture): (&str, &Picture),
    (other, nearest): (&str, &Picture),
    similarity: f64,
) -> anyhow::Result<Vec<u8>> {
    let maps = (sscd.locate(picture, nearest)?, sscd.locate(nearest, picture)?);
    let drawn = side_by_side((picture, &maps.0), (nearest, &maps.1), sscd.preprocessing())?;
    let texts = [
        ("Picture", name.to_owned()),
        ("Nearest", other.to_owned()),
        ("Similarity", format!("{similarity:.4}")),
        ("Judge", format!("{}, {}", sscd.name(), sscd.preprocessing().label())),
        ("Software", concat!("memscope ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    let image = RgbImage { width: drawn.width(), height: drawn.height(), data: drawn.data().to_vec() };
    Ok(image.png(&texts)?)
}

fn write_map(
    args: &Similarity,
    sscd: &Sscd,
    folder: &Path,
    (file, picture): (&PictureFile, &Picture),
    (other, nearest): (&PictureFile, &Picture),
    similarity: f64,
) -> anyhow::Result<()> {
    let png = map_png(sscd, (&file.name, picture), (&other.name, nearest), similarity)?;
    let fail = |source| memscope_eval::Error::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(fail)?;
    let existing = Existing::of_flag(args.output.overwrite);
    Ok(write_over(&folder.join(map_name(file)), &png, existing)?)
}
