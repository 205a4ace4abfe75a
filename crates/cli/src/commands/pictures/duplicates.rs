//! `memscope duplicates`.

use memscope_judges::{Closeness, Judge as _, PictureFile, Similarity as _, THUMBNAIL, groups, survey, thumbnail};
use serde::Serialize;

use super::{
    Shown, Unreadable, descriptor,
    rows::{RowColumn, RowValue, check_output, table, write},
    unreadable, whole,
};
use crate::{
    args::Duplicates,
    output::{print, print_json, print_table},
    progress::Progress,
};

#[derive(Serialize)]
struct Report {
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    judge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocessing: Option<String>,
    threshold: f64,
    pictures: usize,
    in_groups: usize,
    groups: Vec<Vec<Entry>>,
    unreadable: Vec<Unreadable>,
}

/// A picture of a group.
#[derive(Clone, Serialize)]
struct Entry {
    #[serde(skip)]
    group: i64,
    picture: String,
    nearest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rms: Option<f64>,
}

/// Of SSCD; its authors give it as the cosine above which nine of ten pairs are copies.
pub(crate) const COSINE: f64 = 0.75;
/// Of thumbnails.
const RMS: f64 = 0.03;

const GROUP: RowColumn<Entry> =
    RowColumn { key: "group", header: "Group", value: |entry| RowValue::Integer(entry.group) };
const PICTURE: RowColumn<Entry> =
    RowColumn { key: "picture", header: "Picture", value: |entry| RowValue::Text(Some(entry.picture.clone())) };
const NEAREST: RowColumn<Entry> =
    RowColumn { key: "nearest", header: "Nearest", value: |entry| RowValue::Text(Some(entry.nearest.clone())) };
const SIMILARITY: RowColumn<Entry> = RowColumn {
    key: "similarity",
    header: "Similarity",
    value: |entry| RowValue::Number(entry.similarity, 3, "no copy descriptor"),
};
const DIFFERENCE: RowColumn<Entry> = RowColumn {
    key: "rms",
    header: "RMS of thumbnails",
    value: |entry| RowValue::Number(entry.rms, 4, "compared by descriptors"),
};

/// `memscope duplicates`.
pub(crate) fn run(args: &Duplicates) -> anyhow::Result<()> {
    check_output(&args.output)?;
    let files = PictureFile::list(&args.folder)?;
    let sscd = descriptor(&args.judges, args.pixels)?;
    let mut progress = Progress::install()?;
    progress.what("pictures");
    let described = survey(&files, &mut Shown(&mut progress), |pictures| match &sscd {
        Some(sscd) => Ok(sscd.describe(pictures)?.iter().map(|d| d.values().to_vec()).collect()),
        None => Ok(pictures.iter().map(thumbnail).collect::<Vec<Vec<f32>>>()),
    })?;
    let described = whole(described)?;
    let unreadable = unreadable(&files, &described, &args.folder)?;
    let (places, vectors): (Vec<usize>, Vec<Vec<f32>>) = described.seen.into_iter().unzip();
    let by = match &sscd {
        Some(_) => Closeness::Cosine(args.threshold.unwrap_or(COSINE)),
        None => Closeness::Rms(args.threshold.unwrap_or(RMS)),
    };
    progress.what("comparing pictures");
    let found = whole(groups(&vectors, by, &mut Shown(&mut progress)))?;
    let name = |place: usize| places.get(place).and_then(|place| files.get(*place)).map(|file| file.name.clone());
    let entry = |group: usize, member: &memscope_judges::Member| Entry {
        group: group as i64 + 1,
        picture: name(member.place).unwrap_or_default(),
        nearest: name(member.nearest.0).unwrap_or_default(),
        similarity: sscd.is_some().then_some(member.nearest.1),
        rms: sscd.is_none().then_some(member.nearest.1),
    };
    let found: Vec<Vec<Entry>> = found
        .iter()
        .enumerate()
        .map(|(group, members)| members.iter().map(|member| entry(group, member)).collect())
        .collect();
    let threshold = match by {
        Closeness::Cosine(threshold) | Closeness::Rms(threshold) => threshold,
    };
    let report = Report {
        by: if sscd.is_some() { "descriptor" } else { "thumbnails" },
        judge: sscd.as_ref().map(|sscd| sscd.name().to_owned()),
        preprocessing: sscd.as_ref().map(|sscd| sscd.preprocessing().label()),
        threshold,
        pictures: vectors.len(),
        in_groups: found.iter().map(Vec::len).sum(),
        groups: found,
        unreadable,
    };
    show(args, report)
}

fn show(args: &Duplicates, report: Report) -> anyhow::Result<()> {
    let columns = [GROUP, PICTURE, NEAREST, if report.judge.is_some() { SIMILARITY } else { DIFFERENCE }];
    if args.output.json {
        if args.output.out.is_some() {
            let rows: Vec<Entry> = report.groups.iter().flatten().cloned().collect();
            write(&args.output, &rows, &columns)?;
        }
        return print_json(&report);
    }
    let (groups, pictures, in_groups) = (report.groups.len(), report.pictures, report.in_groups);
    let by = match (&report.judge, &report.preprocessing) {
        (Some(judge), Some(preprocessing)) => format!("{judge}, {preprocessing}, cosine at least {}", report.threshold),
        _ => format!(
            "thumbnails of {THUMBNAIL} × {THUMBNAIL} pixels, RMS at most {}: crops, mirrored and recoloured copies are not seen",
            report.threshold
        ),
    };
    let rows: Vec<Entry> = report.groups.into_iter().flatten().collect();
    write(&args.output, &rows, &columns)?;
    if rows.is_empty() {
        return print(&format!("no near duplicates among {pictures} pictures ({by})\n"));
    }
    let mut table = table("duplicates", "Near duplicates", &rows, &columns)?;
    table.set_provenance("found", format!("{in_groups} of {pictures} pictures in {groups} groups"));
    table.set_provenance("compared by", by);
    print_table(&table)
}
