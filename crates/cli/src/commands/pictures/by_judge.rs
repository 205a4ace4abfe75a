//! `memscope judge`.

use std::{collections::HashMap, path::Path, sync::Arc};

use memscope_frames::{Columns, read_table};
use memscope_judges::{
    Alignment as _, Embedding, Judge as _, Judges, Picture, PictureFile, Quality as _, Similarity as _, Watching as _,
    most_similar, png_texts, prompt_of, survey,
};
use serde::Serialize;

use super::{
    REMEDY, Shown, Unreadable, find, open,
    rows::{RowColumn, RowValue, check_output, table, write},
    unreadable, whole,
};
use crate::{
    args::Judge,
    exit_code::UserError,
    output::{print_json, print_table},
    progress::Progress,
};

#[derive(Serialize)]
struct Row {
    picture: String,
    prompt: Option<String>,
    alignment: Option<f64>,
    quality: Option<f64>,
    nearest: Option<String>,
    similarity: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    judges: Vec<String>,
    pictures: Vec<Row>,
    unreadable: Vec<Unreadable>,
    mean: Means,
}

/// Means over the pictures that have a value.
#[derive(Serialize)]
struct Means {
    alignment: Option<f64>,
    quality: Option<f64>,
    similarity: Option<f64>,
}

const COLUMNS: [RowColumn<Row>; 6] = [
    RowColumn { key: "picture", header: "Picture", value: |row| RowValue::Text(Some(row.picture.clone())) },
    RowColumn { key: "prompt", header: "Prompt", value: |row| RowValue::Text(row.prompt.clone()) },
    RowColumn {
        key: "alignment",
        header: "Alignment",
        value: |row| RowValue::Number(row.alignment, 3, "no prompt or judge"),
    },
    RowColumn { key: "quality", header: "Quality", value: |row| RowValue::Number(row.quality, 3, "no judge") },
    RowColumn { key: "nearest", header: "Nearest", value: |row| RowValue::Text(row.nearest.clone()) },
    RowColumn {
        key: "similarity",
        header: "Similarity",
        value: |row| RowValue::Number(row.similarity, 3, "no judge or training pictures"),
    },
];

/// What the judges make of a picture.
struct Judged {
    aligned: Option<Embedding>,
    quality: Option<f64>,
    descriptor: Option<Embedding>,
}

/// `memscope judge`.
pub(crate) fn run(args: &Judge) -> anyhow::Result<()> {
    check_output(&args.output)?;
    let files = PictureFile::list(&args.folder)?;
    let training = args.training.as_deref().map(PictureFile::list).transpose()?;
    let found = find(args.judges.judges.as_deref())?;
    let found = found.ok_or_else(|| UserError::model(REMEDY))?;
    let prompts = match &args.prompts {
        Some(table) => prompts_of_table(table, &files)?,
        None => prompts_of_files(&files),
    };
    let judges = open(&found, &args.judges)?;
    if training.is_some() && judges.similarity.is_none() {
        return Err(UserError::model("--training needs a copy descriptor; these judges have none (sscd/)").into());
    }
    let mut progress = Progress::install()?;
    let known = match (&training, &judges.similarity, &args.training) {
        (Some(training), Some(sscd), Some(folder)) => {
            progress.what("training pictures");
            let known = survey(training, &mut Shown(&mut progress), |pictures| sscd.describe(pictures))?;
            let known = whole(known)?;
            (unreadable(training, &known, folder)?, known.seen)
        }
        _ => (vec![], vec![]),
    };
    progress.what("pictures");
    let seen = survey(&files, &mut Shown(&mut progress), |pictures| look(&judges, pictures, training.is_some()))?;
    let seen = whole(seen)?;
    let mut left_out = known.0;
    left_out.extend(unreadable(&files, &seen, &args.folder)?);
    let texts = texts(&judges, &prompts, &mut progress)?;
    let mut rows = vec![];
    for (place, seen) in &seen.seen {
        let Some(file) = files.get(*place) else { continue };
        let prompt = prompts.get(*place).cloned().flatten();
        let text = prompt.as_ref().and_then(|prompt| texts.get(prompt));
        let alignment = seen.aligned.as_ref().zip(text).map(|(picture, text)| picture.cosine(text)).transpose()?;
        let is_same = |other: usize| training.as_ref().is_some_and(|training| training[other].is_same(file));
        let nearest = match &seen.descriptor {
            Some(descriptor) => most_similar(descriptor, &known.1, is_same)?,
            None => None,
        };
        let name = nearest.and_then(|(place, _)| Some(training.as_ref()?.get(place)?.name.clone()));
        rows.push(Row {
            picture: file.name.clone(),
            prompt,
            alignment,
            quality: seen.quality,
            nearest: name,
            similarity: nearest.map(|(_, cosine)| cosine),
        });
    }
    write(&args.output, &rows, &COLUMNS)?;
    show(args, &judges, rows, left_out)
}

fn look(judges: &Judges, pictures: &[Picture], describe: bool) -> memscope_judges::Result<Vec<Judged>> {
    let aligned = judges.alignment.as_ref().map(|clip| clip.embed_pictures(pictures)).transpose()?;
    let quality = match (&judges.quality, &judges.alignment, &aligned) {
        (Some(head), Some(clip), Some(embedded)) if head.is_on(clip) => {
            Some(embedded.iter().map(|embedding| head.rate(embedding)).collect::<memscope_judges::Result<Vec<_>>>()?)
        }
        (Some(head), ..) => Some(head.quality(pictures)?),
        (None, ..) => None,
    };
    let described = match &judges.similarity {
        Some(sscd) if describe => Some(sscd.describe(pictures)?),
        _ => None,
    };
    let one = |i: usize| Judged {
        aligned: aligned.as_ref().and_then(|all| all.get(i).cloned()),
        quality: quality.as_ref().and_then(|all| all.get(i).copied()),
        descriptor: described.as_ref().and_then(|all| all.get(i).cloned()),
    };
    Ok((0..pictures.len()).map(one).collect())
}

/// The embeddings of the prompts, each once.
fn texts(
    judges: &Judges,
    prompts: &[Option<String>],
    progress: &mut Progress,
) -> anyhow::Result<HashMap<String, Embedding>> {
    const BATCH: usize = 64;
    let Some(clip) = judges.alignment.as_ref().map(Arc::clone) else { return Ok(HashMap::new()) };
    let mut distinct: Vec<&String> = prompts.iter().flatten().collect();
    distinct.sort();
    distinct.dedup();
    progress.what("prompts");
    let mut all = HashMap::new();
    for (number, batch) in distinct.chunks(BATCH).enumerate() {
        whole(Shown(progress).goes_on(number * BATCH, distinct.len()).then_some(()))?;
        let texts: Vec<&str> = batch.iter().map(|text| text.as_str()).collect();
        all.extend(batch.iter().map(|text| (*text).clone()).zip(clip.embed_texts(&texts)?));
    }
    whole(Shown(progress).goes_on(distinct.len(), distinct.len()).then_some(()))?;
    Ok(all)
}

/// What the files carry; a picture that cannot be read is told of later.
fn prompts_of_files(files: &[PictureFile]) -> Vec<Option<String>> {
    let prompts: Vec<Option<String>> =
        files.iter().map(|file| png_texts(&file.path).ok().and_then(|texts| prompt_of(&texts))).collect();
    let without = prompts.iter().filter(|prompt| prompt.is_none()).count();
    if without > 0 {
        tracing::warn!("{without} of {} pictures carry no prompt, so that they have no alignment", prompts.len());
    }
    prompts
}

/// What a table says, by the name of a file, or its path below the folder.
fn prompts_of_table(path: &Path, files: &[PictureFile]) -> anyhow::Result<Vec<Option<String>>> {
    let table = read_table(path, Columns::All)?;
    let column = |names: &[&str]| {
        let found = table.columns.iter().find(|c| names.iter().any(|name| c.name.eq_ignore_ascii_case(name)));
        found.ok_or_else(|| {
            UserError::input(format!(
                "{}: it has no column '{}'; it needs picture and prompt",
                path.display(),
                names[0]
            ))
        })
    };
    let (pictures, prompts) = (column(&["picture", "file"])?, column(&["prompt", "caption", "text"])?);
    let pairs = pictures.cells.iter().zip(prompts.cells.iter());
    let by_name: HashMap<&str, &str> =
        pairs.filter_map(|(picture, prompt)| Some((picture.text()?.trim(), prompt.text()?.trim()))).collect();
    let of = |file: &PictureFile| {
        let short = file.name.rsplit('/').next().unwrap_or(&file.name);
        by_name.get(file.name.as_str()).or_else(|| by_name.get(short)).map(|prompt| (*prompt).to_owned())
    };
    let found: Vec<Option<String>> = files.iter().map(of).collect();
    let without = found.iter().filter(|prompt| prompt.is_none()).count();
    if without == found.len() {
        return Err(UserError::input(format!("{}: it names none of the pictures", path.display())).into());
    }
    if without > 0 {
        tracing::warn!("{}: no prompt for {without} of {} pictures", path.display(), found.len());
    }
    Ok(found)
}

fn show(args: &Judge, judges: &Judges, rows: Vec<Row>, unreadable: Vec<Unreadable>) -> anyhow::Result<()> {
    let similarity =
        judges.similarity.iter().map(|j| format!("similarity: {}, {}", j.name(), j.preprocessing().label()));
    let alignment = judges.alignment.iter().map(|judge| format!("alignment: {}", judge.name()));
    let quality = judges.quality.iter().map(|judge| format!("quality: {}", judge.name()));
    let names: Vec<String> = similarity.chain(alignment).chain(quality).collect();
    let mean = |value: fn(&Row) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mean = Means {
        alignment: mean(|row| row.alignment),
        quality: mean(|row| row.quality),
        similarity: mean(|row| row.similarity),
    };
    if args.output.json {
        return print_json(&Report { judges: names, pictures: rows, unreadable, mean });
    }
    let mut table = table("judged", "Judged pictures", &rows, &COLUMNS)?;
    table.set_provenance("judges", names.join("; "));
    let said = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.3}"));
    let means = [said("alignment", mean.alignment), said("quality", mean.quality), said("similarity", mean.similarity)];
    table.set_provenance("means", means.into_iter().flatten().collect::<Vec<_>>().join(", "));
    print_table(&table)
}
