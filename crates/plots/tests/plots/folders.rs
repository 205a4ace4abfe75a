//! Results folders of somebody else, damaged or made to do harm.

use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_plots::{
    pages::{self, Pages},
    write_figures,
};
use memscope_results::{
    Folder, Manifest, OpenRun, ResultTable, Results,
    export::{ExportSet, Format},
    gallery::{GalleryRow, INDEX},
    manifest::FORMAT,
    table::{Cell, Column, ColumnKind},
};
use scraper::{Html, Selector};

use crate::samples;

const COMMAND: &str = "memscope run mine.yaml";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\npicture";

fn manifest(name: &str) -> Manifest {
    Manifest {
        format: FORMAT,
        experiment: name.into(),
        title: format!("Title of {name}"),
        command: COMMAND.into(),
        ..Manifest::default()
    }
}

fn table() -> ResultTable {
    let columns = vec![Column::new("what", "What", ColumnKind::Text), Column::new("auc", "AUC", ColumnKind::Number)];
    let mut table = ResultTable::new("numbers", "Numbers", columns).unwrap();
    table.push_row(vec![Cell::text("a row"), Cell::number(0.8125, 4)]).unwrap();
    table
}

/// A run with a table, a figure and a picture.
fn begun(folder: &Folder) -> OpenRun {
    let mut run = folder.begin().unwrap();
    let target = ExportSet::open(&folder.tables(), "numbers", &[Format::Json, Format::Markdown]).unwrap();
    run.adopt(target.write(&table()).unwrap()).unwrap();
    write_figures(&[samples::roc().into()], &mut run, COMMAND).unwrap();
    let row = GalleryRow {
        model: "m".into(),
        prompt: "a prompt".into(),
        label: "memorized".into(),
        truth: None,
        drawn: vec!["0.png".into()],
        labels: vec![],
    };
    run.write(&folder.gallery().join("0.png"), PNG).unwrap();
    run.write_json(&folder.gallery().join(INDEX), &vec![row]).unwrap();
    run
}

/// A results folder with the complete experiment `mine`.
struct Made {
    _temporary: tempfile::TempDir,
    results: PathBuf,
    folder: Folder,
}

fn made() -> Made {
    let temporary = tempfile::tempdir().unwrap();
    let results = temporary.path().join("results");
    let folder = Results::new(&results).experiment("mine");
    begun(&folder).commit(manifest("mine")).unwrap();
    Made { _temporary: temporary, results, folder }
}

fn page(results: &Path) -> (Pages, String) {
    let pages = pages::report(results, "memscope report").unwrap();
    let html = pages.report.to_html().unwrap();
    (pages, html)
}

fn elements(html: &str, selector: &str) -> usize {
    Html::parse_document(html).select(&Selector::parse(selector).unwrap()).count()
}

#[test]
fn an_honest_folder_is_shown_whole_with_the_command_that_made_it() {
    let made = made();
    let (pages, html) = page(&made.results);
    assert_eq!(pages.notices, Vec::<String>::new());
    for words in ["Title of mine", "0.8125", COMMAND, "data:image/png;base64,", "a prompt"] {
        assert!(html.contains(words), "{words}");
    }
    assert!(!html.contains("memscope reproduce"), "another command than the recorded one");
    assert_eq!(elements(&html, "main svg"), 2, "the figure for light and for dark pages");
}

#[test]
fn numbers_of_a_page_have_the_minus_sign_and_small_p_values_a_bound() {
    let made = made();
    let second = Results::new(&made.results).experiment("second");
    let mut run = second.begin().unwrap();
    let columns = ["auc", "p"].map(|key| Column::new(key, key, ColumnKind::Number));
    let mut table = ResultTable::new("small", "Small", columns.to_vec()).unwrap();
    table.push_row(vec![Cell::number(-0.25, 3), Cell::number(2.0 / 2001.0, 3)]).unwrap();
    let target = ExportSet::open(&second.tables(), "small", &[Format::Json]).unwrap();
    run.adopt(target.write(&table).unwrap()).unwrap();
    run.commit(manifest("second")).unwrap();
    let (_, html) = page(&made.results);
    let page = Html::parse_document(&html);
    let cells = Selector::parse("#table-small td").unwrap();
    let texts: Vec<String> = page.select(&cells).map(|cell| cell.text().collect()).collect();
    assert_eq!(texts, ["\u{2212}0.250", "< 0.001"]);
}

#[test]
fn two_runs_of_the_same_measurements_say_so_by_their_names() {
    let made = made();
    let other = tempfile::tempdir().unwrap();
    let again = Results::new(other.path().join("again")).experiment("mine");
    let command = "memscope run other.yaml".to_owned();
    begun(&again).commit(Manifest { command, ..manifest("mine") }).unwrap();
    let score =
        |class: &str, score: f64| serde_json::json!({"prompt": class, "class": class, "set": "s", "scores": [[score]]});
    let models = serde_json::json!([{"model": "m", "detectors": [{"name": "A", "n": 1, "seeds": [1]}],
        "prompts": [score("memorized", 1.0), score("non-memorized", 0.0)]}]);
    for folder in [&made.folder, &again] {
        fs::write(folder.prompts(), models.to_string()).unwrap();
    }
    let pages = pages::overlay(&made.results, &other.path().join("again"), "memscope report a b").unwrap();
    let findings: Vec<&str> = pages.report.findings.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(findings, ["m, n = 1: results and again share all measurements of A; no difference is possible."]);
    assert!(pages.report.findings.iter().all(|finding| finding.from == "Title of mine"));
    assert_eq!(pages.report.title, "results and again");
}

#[test]
fn figures_are_drawn_anew_from_their_numbers() {
    let made = made();
    let (_, before) = page(&made.results);
    for path in fs::read_dir(made.folder.figures()).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension != "json") {
            let active = "<svg></svg><meta http-equiv=\"refresh\" content=\"0;url=http://evil.example/\">";
            fs::write(path, active).unwrap();
        }
    }
    let (_, after) = page(&made.results);
    assert_eq!(before, after, "the page depends on something else than the numbers");
    assert!(!after.contains("evil.example"));
}

#[test]
fn texts_of_a_figure_are_no_markup() {
    let made = made();
    let path = made.folder.figures().join("roc.json");
    let evil = r"</text></svg><meta http-equiv=refresh content=0><script>alert(1)</script><a href=x>";
    let text = fs::read_to_string(&path).unwrap();
    let quoted = serde_json::to_string(evil).unwrap();
    fs::write(&path, text.replace("\"Wen et al.\"", &quoted)).unwrap();
    assert_ne!(text, fs::read_to_string(&path).unwrap());
    let (pages, html) = page(&made.results);
    assert_eq!(elements(&html, "main meta, main script, main svg a"), 0);
    assert!(pages.notices.iter().any(|notice| notice.contains("hash does not match")), "{:?}", pages.notices);
}

#[test]
fn names_that_lead_out_of_the_folder_are_left_out() {
    let made = made();
    let secret = made.results.join("secret.png");
    fs::write(&secret, [PNG, b"secret"].concat()).unwrap();
    let gallery = made.folder.gallery();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&secret, gallery.join("link.png")).unwrap();
    let absolute = secret.to_str().unwrap().to_owned();
    let names = ["../../secret.png", "..", "", ".hidden.png", &absolute, "link.png", "absent.png", "numbers\0.png"];
    for name in names {
        let row = GalleryRow {
            model: "m".into(),
            prompt: "p".into(),
            label: String::new(),
            truth: Some(name.into()),
            drawn: vec![name.into()],
            labels: vec![],
        };
        fs::write(gallery.join(INDEX), serde_json::to_vec(&vec![row]).unwrap()).unwrap();
        let (pages, html) = page(&made.results);
        assert!(!html.contains("data:image/png;base64,"), "{name:?} was followed");
        assert!(pages.notices.iter().any(|notice| notice.contains("a picture is left out")), "{name:?}");
    }
}

#[test]
fn what_is_no_picture_is_left_out() {
    let made = made();
    fs::write(made.folder.gallery().join("0.png"), "<svg onload=alert(1)>").unwrap();
    let (pages, html) = page(&made.results);
    assert!(!html.contains("data:image/png;base64,"));
    assert!(pages.notices.iter().any(|notice| notice.contains("no PNG file")), "{:?}", pages.notices);
}

#[test]
fn changed_and_added_numbers_are_marked() {
    let made = made();
    let path = made.folder.tables().join("numbers.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("0.8125", "0.9999")).unwrap();
    fs::write(made.folder.tables().join("more.json"), text.replace("\"numbers\"", "\"more\"")).unwrap();
    let (pages, html) = page(&made.results);
    let said = |words: &str| pages.notices.iter().any(|notice| notice.contains(words));
    assert!(said("tables/numbers.json was changed after the run"), "{:?}", pages.notices);
    assert!(said("tables/more.json is not among the files that the run wrote"), "{:?}", pages.notices);
    assert_eq!(elements(&html, "p.notice"), 2);
}

#[test]
fn files_of_any_content_make_notices_and_no_errors() {
    let deep = "[".repeat(200_000);
    let huge = r#"{"format":1,"command":"","figure":{"kind":"histogram","meta":{"name":"x","alt":"","caption":[]},"score":"","memorized":[1],"non_memorized":[2],"bins":1000000000000}}"#;
    let stride = r#"{"format":1,"command":"","figure":{"kind":"field","meta":{"name":"x","alt":"","caption":[]},"panels":[{"title":"","height":1,"width":1,"first":[[1,1]],"second":[[1,1]],"cosine":[0]}],"first_name":"","second_name":"","cosine_label":"","stride":18446744073709551615,"ring_threshold":0.9}}"#;
    let newer = r#"{"format":99}"#;
    for content in
        ["", "null", "[]", "{}", "{\"format\":1}", "\u{0}\u{1b}[31m", &deep, huge, stride, newer, "[[1e400]]"]
    {
        let made = made();
        for path in [
            made.folder.figures().join("roc.json"),
            made.folder.tables().join("numbers.json"),
            made.folder.gallery().join(INDEX),
        ] {
            fs::write(&path, content).unwrap();
        }
        let (pages, html) = page(&made.results);
        assert!(pages.notices.len() >= 2, "{content:.40}: {:?}", pages.notices);
        assert!(pages.notices.iter().all(|notice| notice.len() < 2000 && !notice.contains('\u{1b}')));
        assert!(html.len() < 100_000);
    }
}

#[test]
fn a_large_picture_is_left_out() {
    let made = made();
    let file = fs::File::create(made.folder.gallery().join("0.png")).unwrap();
    file.set_len(1 << 40).unwrap();
    let (pages, _) = page(&made.results);
    assert!(pages.notices.iter().any(|notice| notice.contains("has at most")), "{:?}", pages.notices);
}

#[test]
fn many_large_pictures_stay_a_small_page() {
    let made = made();
    let gallery = made.folder.gallery();
    let mut random = samples::Random::new(3);
    let pixels: Vec<u8> = (0..256 * 256 * 3).map(|_| (random.uniform() * 256.0) as u8).collect();
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, 256, 256);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    fs::write(gallery.join("0.png"), &file).unwrap();
    let row = |at: usize| GalleryRow {
        model: "m".into(),
        prompt: format!("prompt {at}"),
        label: String::new(),
        truth: None,
        drawn: vec!["0.png".into(); 4],
        labels: vec![],
    };
    let rows: Vec<GalleryRow> = (0..1000).map(row).collect();
    fs::write(gallery.join(INDEX), serde_json::to_vec(&rows).unwrap()).unwrap();
    let (pages, html) = page(&made.results);
    assert_eq!(elements(&html, ".sheet img[src^=\"data:image/jpeg\"]"), 800);
    assert!(html.len() < 15_000_000, "{}", html.len());
    assert!(pages.notices.iter().any(|notice| notice.contains("200 of 1000 rows")), "{:?}", pages.notices);
    let shown = |at: usize| html.contains(&format!("data-prompt=\"prompt {at}\""));
    assert!(shown(0) && !shown(1) && (990..1000).any(shown), "evenly chosen");
}

#[test]
fn an_incomplete_experiment_is_said_and_not_shown() {
    let made = made();
    let second = Results::new(&made.results).experiment("second");
    drop(begun(&second));
    let (pages, html) = page(&made.results);
    assert_eq!(pages.notices, ["second is not complete and not shown: run it again"]);
    assert!(html.contains("second is not complete") && !html.contains("Title of second"));

    fs::remove_file(made.folder.complete_mark()).unwrap();
    let message = pages::report(&made.results, "").unwrap_err().to_string();
    assert!(message.contains("no complete experiment") && message.contains("mine is not complete"), "{message}");
}

#[test]
fn a_folder_without_a_readable_manifest_gets_no_borrowed_title() {
    let made = made();
    let second = Results::new(&made.results).experiment("second");
    begun(&second).commit(manifest("second")).unwrap();
    for content in ["", "{", "{\"format\": 2}", "{\"format\": -1}"] {
        fs::write(second.manifest_path(), content).unwrap();
        let (pages, html) = page(&made.results);
        assert!(!html.contains("Theorem 1"));
        assert!(pages.notices[0].starts_with("second is not shown: "), "{:?}", pages.notices);
    }
}

#[test]
fn the_page_that_stood_there_survives() {
    let made = made();
    let out = made.results.join("report.html");
    fs::write(&out, "the page before").unwrap();
    fs::remove_file(made.folder.complete_mark()).unwrap();
    assert!(pages::write(&made.results, &out, "", None).is_err());
    assert_eq!(fs::read_to_string(&out).unwrap(), "the page before");
}
