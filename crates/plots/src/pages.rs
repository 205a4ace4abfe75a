//! From a results folder to a [`Report`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_eval::{
    Error as EvalError, ExperimentFile, ResultTable,
    export::PlainTable,
    run::{COMPLETE, GALLERY, MANIFEST, TIMING_TABLE},
    table::ColumnKind,
    tasks::{GALLERY_INDEX, GalleryRow},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    report::{
        Block, ColumnContent, ColumnSource, ContactSheet, Difference, Generator, ImageRole, Report, ReportCell,
        ReportColumn, ReportFigure, ReportTable, Section, SheetImage, SheetRow,
    },
    results::Sidecar,
};

/// Why no report could be made of a results folder.
pub type PagesError = EvalError;

type Result<T> = std::result::Result<T, PagesError>;

/// The order in which experiments are shown; others follow by name.
const ORDER: [&str; 18] = [
    "table1",
    "detectors",
    "groups",
    "denoised",
    "presets",
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "table8",
    "gamma",
    "fig1",
    "fig2",
    "fig3",
    "theorem1",
    "gallery",
];

/// Everything a results folder holds, as one page. `command` made it.
pub fn report(results: &Path, command: &str) -> Result<Report> {
    let folders = experiments(results)?;
    let mut page = Report { title: "memscope report".into(), command: command.to_owned(), ..Report::default() };
    for folder in &folders {
        section(&mut page, folder)?;
    }
    page.differences = differences(&folders)?;
    Ok(page)
}

/// Folders of complete experiments.
fn experiments(results: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(results).map_err(|source| EvalError::Read { path: results.to_owned(), source })?;
    let below = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> =
        below.chain([results.to_owned()]).filter(|folder| folder.join(COMPLETE).is_file()).collect();
    let rank = |folder: &PathBuf| {
        let name = name_of(folder);
        (ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len()), name)
    };
    folders.sort_by_key(rank);
    if folders.is_empty() {
        return Err(EvalError::Results {
            folder: results.to_owned(),
            reason: "holds no complete experiment; run `memscope reproduce table1` first, or give another folder"
                .into(),
        });
    }
    Ok(folders)
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn section(page: &mut Report, folder: &Path) -> Result<()> {
    let name = name_of(folder);
    let file: Option<ExperimentFile> = match fs::read_to_string(folder.join("experiment.yaml")) {
        Ok(yaml) => Some(ExperimentFile::parse(&name, &yaml)?),
        Err(_) => None,
    };
    let mut section = Section {
        id: name.clone(),
        title: file.as_ref().map_or_else(|| "Theorem 1".to_owned(), |file| file.title.clone()),
        paragraphs: file.iter().map(|file| file.about.clone()).filter(|about| !about.is_empty()).collect(),
        blocks: vec![],
    };
    let command = match &file {
        Some(_) => format!("memscope reproduce {name}"),
        None => "memscope verify theorem1".to_owned(),
    };
    if let Ok(manifest) = json::<Value>(&folder.join(MANIFEST)) {
        provenance(page, &manifest);
    }
    section.blocks.extend(tables(&folder.join("tables"), &command)?);
    section.blocks.extend(tables(&folder.join(TIMING_TABLE), &command)?);
    section.blocks.extend(figures(&folder.join("figures"))?);
    section.blocks.extend(sheets(&folder.join(GALLERY))?);
    page.sections.push(section);
    Ok(())
}

/// The program and each model once.
fn provenance(page: &mut Report, manifest: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    page.generated_by = Generator {
        version: text(&manifest["version"]),
        commit: manifest["commit"].as_str().filter(|commit| *commit != "unknown").map(str::to_owned),
    };
    let mut add = |key: String, value: String| {
        if !page.provenance.iter().any(|(known, _)| *known == key) {
            page.provenance.push((key, value));
        }
    };
    for model in manifest["models"].as_array().into_iter().flatten() {
        let hash = text(&model["fingerprint"]);
        let random = if model["weights"] == "random" { "random " } else { "" };
        let weights = format!("{}, {random}weights sha256 {hash}", text(&model["parameterization"]));
        add(text(&model["source"]), weights);
    }
    add("network".into(), format!("{} on {}", text(&manifest["dtype"]), text(&manifest["device"])));
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| EvalError::Results { folder: path.to_owned(), reason: format!("{e}; run the experiment again") })
}

/// Files of a folder with this ending, by name; none where the folder is absent.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let shown = |path: &PathBuf| {
        let name = name_of(path);
        name.ends_with(ending) && !name.starts_with('.')
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(shown).collect();
    files.sort_by_key(|path| (name_of(path).len(), name_of(path)));
    files
}

fn tables(folder: &Path, command: &str) -> Result<Vec<Block>> {
    files(folder, ".json").iter().map(|path| Ok(Block::Table(table(&json(path)?, command)))).collect()
}

fn table(table: &ResultTable, command: &str) -> ReportTable {
    let plain = PlainTable::new(table);
    let column = |(column, label): (&memscope_eval::table::Column, &String)| ReportColumn {
        label: label.clone(),
        content: match column.kind {
            ColumnKind::Text => ColumnContent::Text,
            _ => ColumnContent::Number,
        },
        source: match column.kind {
            ColumnKind::Paper => ColumnSource::Paper,
            _ if column.key.starts_with("paper") => ColumnSource::Paper,
            _ => ColumnSource::Run,
        },
    };
    let cell = |cell: memscope_eval::export::PlainCell| ReportCell {
        text: cell.text,
        sort: cell.number,
        marks: cell.marks,
        missing: cell.missing,
    };
    ReportTable {
        name: table.name().to_owned(),
        title: plain.title,
        columns: table.columns().iter().zip(&plain.headers).map(column).collect(),
        rows: plain.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect(),
        notes: plain.notes,
        provenance: plain.provenance,
        command: command.to_owned(),
    }
}

fn figures(folder: &Path) -> Result<Vec<Block>> {
    files(folder, ".json")
        .iter()
        .map(|path| {
            let sidecar: Sidecar = json(path)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let read = |ending: &str| {
                let path = folder.join(format!("{name}{ending}"));
                fs::read_to_string(&path).map_err(|source| EvalError::Read { path, source })
            };
            Ok(Block::Figure(ReportFigure {
                svg_light: read(".svg")?,
                svg_dark: read("-dark.svg").ok(),
                title: sidecar.alt.clone(),
                alt: sidecar.alt,
                caption: sidecar.caption,
                command: sidecar.command,
                name,
            }))
        })
        .collect()
}

/// A sheet per model.
fn sheets(folder: &Path) -> Result<Vec<Block>> {
    let index = folder.join(GALLERY_INDEX);
    if !index.is_file() {
        return Ok(vec![]);
    }
    let rows: Vec<GalleryRow> = json(&index)?;
    let mut sheets: Vec<ContactSheet> = vec![];
    for row in rows {
        let title = format!("What {} draws", row.model);
        let image = |name: &String, role: ImageRole, alt: String| {
            let path = folder.join(name);
            let png = fs::read(&path).map_err(|source| EvalError::Read { path, source })?;
            Ok::<_, PagesError>(SheetImage { png, alt, role })
        };
        let mut images = vec![];
        if let Some(truth) = &row.truth {
            let alt = format!("training picture of '{}'", row.prompt);
            images.push(image(truth, ImageRole::Truth("training picture".into()), alt)?);
        }
        for (i, name) in row.drawn.iter().enumerate() {
            let alt = format!("drawn for '{}', noise {}", row.prompt, i + 1);
            images.push(image(name, ImageRole::Generated(format!("noise {}", i + 1)), alt)?);
        }
        let shown = SheetRow { caption: row.prompt, label: row.label, images };
        match sheets.iter_mut().find(|sheet| sheet.title == title) {
            Some(sheet) => sheet.rows.push(shown),
            None => sheets.push(ContactSheet { title, rows: vec![shown] }),
        }
    }
    Ok(sheets.into_iter().map(Block::Sheet).collect())
}

/// Places where the paper's text and its code differ, with what the first experiment of the folder did.
fn differences(folders: &[PathBuf]) -> Result<Vec<Difference>> {
    let Some(manifest) = folders.iter().find(|folder| folder.join(MANIFEST).is_file()) else { return Ok(vec![]) };
    let manifest: Value = json(&manifest.join(MANIFEST))?;
    let detectors = manifest["models"][0]["detectors"].as_array();
    let Some(protocol) = detectors.and_then(|all| all.last()).map(|detector| &detector["protocol"]) else {
        return Ok(vec![]);
    };
    let remarks = [
        ("t_cos", "The paper says t = 1; the released code reads t = 41. The published numbers point to t = 1."),
        (
            "cos_reduction",
            "Eq. 14 flattens the score; the code takes the cosine over channels at each position and averages.",
        ),
        ("cos_space", "Eq. 14 speaks of scores; the code uses the raw output, which differs for v models."),
        ("norm_space", "Eq. 14 speaks of scores; the code uses the raw output, and (a·v − x)/(1 − ᾱ) for v models."),
        ("normalization", "Table 4 reports normalizations; in the released script the option takes no effect."),
        ("numerics", "The code computes in bfloat16, whose roundings make ties and inflate small norms of v models."),
        ("input", "The network is asked about pure noise at every timestep; Theorem 1 speaks of the denoised latent."),
    ];
    let of = |(option, remark): (&str, &str)| Difference {
        option: option.to_owned(),
        value: protocol[option].as_str().map_or_else(|| protocol[option].to_string(), str::to_owned),
        remark: remark.to_owned(),
    };
    Ok(remarks.into_iter().map(of).collect())
}
