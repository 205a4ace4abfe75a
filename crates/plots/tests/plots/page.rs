//! The page as a browser would read it.

use std::collections::HashSet;

use memscope_plots::report::{
    Block, ColumnContent, ColumnSource, ContactSheet, Difference, Finding, Generator, ImageRole, PromptBrowser,
    PromptList, Report, ReportCell, ReportColumn, ReportError, ReportFigure, ReportTable, Section, SheetImage,
    SheetRow, Source,
};
use memscope_results::prompts::{DetectorColumn, ModelPrompts, PromptRecord};
use scraper::{ElementRef, Html, Selector};

const EVIL: &str = r#"<img src=x onerror=alert(1)>"'</script></style><!-- &lt;"#;
const SVG: &str = r#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><clipPath id="a"/><path clip-path="url(#a)" d="M0 0"/></svg>"#;

fn table(text: &str) -> ReportTable {
    let column = |content, source| ReportColumn { label: text.into(), content, source, detail: true };
    let cell = |sort: Option<f64>| ReportCell {
        text: text.into(),
        spread: text.into(),
        sort,
        marks: vec![text.into()],
        missing: false,
    };
    ReportTable {
        name: text.into(),
        title: text.into(),
        columns: vec![
            column(ColumnContent::Text, ColumnSource::Run),
            column(ColumnContent::Number, ColumnSource::Run),
            column(ColumnContent::Number, ColumnSource::Paper),
        ],
        rows: vec![vec![cell(None), cell(Some(0.5)), cell(None)], vec![cell(None), cell(Some(-2.0)), cell(None)]],
        notes: vec![(text.into(), text.into())],
        provenance: vec![(text.into(), text.into())],
        command: text.into(),
    }
}

fn figure(text: &str, svg_dark: Option<String>) -> ReportFigure {
    ReportFigure {
        name: text.into(),
        title: text.into(),
        svg_light: SVG.into(),
        svg_dark,
        alt: text.into(),
        caption: vec![text.into()],
        command: text.into(),
    }
}

fn sheet(text: &str) -> ContactSheet {
    let image = |role| SheetImage { file: b"\x89PNG\r\n\x1a\n".to_vec(), alt: text.into(), role };
    let images = vec![image(ImageRole::Truth(text.into())), image(ImageRole::Generated(text.into()))];
    ContactSheet { title: text.into(), rows: vec![SheetRow { caption: text.into(), label: text.into(), images }] }
}

fn prompts(text: &str) -> PromptBrowser {
    let prompt = PromptRecord {
        prompt: text.into(),
        class: "memorized".into(),
        set: text.into(),
        weight: Some(1.0),
        reproduction_rate: None,
        scores: vec![vec![0.5]],
    };
    let detectors = vec![DetectorColumn { name: text.into(), n: 1, seeds: vec![42] }];
    PromptBrowser {
        title: text.into(),
        models: vec![ModelPrompts { model: text.into(), detectors, prompts: vec![prompt] }],
    }
}

/// A report with `text` wherever a text can stand, and every block twice.
fn report(text: &str) -> Report {
    let blocks = vec![
        Block::Table(table(text)),
        Block::Figure(figure(text, None)),
        Block::Figure(figure(text, Some(SVG.into()))),
        Block::Sheet(sheet(text)),
        Block::Prompts(PromptList { title: text.into(), prompts: vec![text.into()] }),
    ];
    let section = Section {
        id: text.into(),
        title: text.into(),
        paragraphs: vec![text.into()],
        blocks: [blocks.clone(), blocks].concat(),
    };
    Report {
        title: text.into(),
        generated_by: Generator { version: text.into(), commit: Some(text.into()) },
        made: vec![text.into()],
        summary: vec![text.into()],
        findings: vec![
            Finding { text: text.into(), from: text.into(), source: Source::Table(text.into()) },
            Finding { text: text.into(), from: text.into(), source: Source::Prompts(text.into()) },
        ],
        prompts: Some(prompts(text)),
        glossary: vec![(text.into(), text.into())],
        sections: vec![section.clone(), section],
        differences: vec![Difference { option: text.into(), value: text.into(), remark: text.into() }],
        provenance: vec![(text.into(), text.into())],
        links: vec![],
        command: text.into(),
    }
}

fn page(report: &Report) -> (String, Html) {
    let html = report.to_html().unwrap();
    let parsed = Html::parse_document(&html);
    (html, parsed)
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

#[test]
fn hostile_text_is_shown_and_never_becomes_markup() {
    let (_, page) = page(&report(EVIL));
    assert_eq!(all(&page, "img:not([src^='data:image/png;base64,'])").len(), 0);
    assert_eq!(all(&page, "script").len(), 2);
    let data = all(&page, "script[type='application/json']");
    let models: Vec<ModelPrompts> = serde_json::from_str(&text(data[0])).unwrap();
    assert_eq!(models, prompts(EVIL).models);
    assert_eq!(all(&page, "style").len(), 1);
    for element in all(&page, "*") {
        let handler = element.value().attrs().find(|(name, _)| name.starts_with("on"));
        assert_eq!(handler, None, "{}", element.value().name());
    }
    let places = [
        ("title", 1),
        ("h1", 1),
        (".summary p", 1),
        ("main details.chapter > p:not(:has(em))", 2),
        (".findings h3", 1),
        (".findings li span", 2),
        (".findings li a:not([data-model])", 1),
        (".terms dt", 1),
        (".terms dd", 1),
        (".made .part", 1),
        ("summary > h2[id^='img-']", 2),
        ("nav a[href^='#img-'], nav ol ol a", 22),
        ("caption h3", 4),
        (".table .notes .mark", 4),
        ("td sup a, th sup a", 24),
        (".plot h3", 8),
        (".plot figcaption p", 8),
        (".sheet h3", 4),
        (".sheet .prompt", 4),
        (".sheet .label", 4),
        (".sheet li span", 8),
        (".prompts h3", 4),
        (".prompts li .prompt", 4),
        ("dt", 6),
        ("dd", 6),
        (".command code", 13),
        (".remarks tbody tr > *", 3),
    ];
    for (selector, count) in places {
        let found = all(&page, selector);
        assert_eq!(found.len(), count, "{selector}");
        for element in found {
            assert_eq!(text(element), EVIL, "{selector}");
        }
    }
    for cell in all(&page, ".table tbody tr > *") {
        assert_eq!(text(cell), format!("{EVIL}{EVIL}{EVIL}"), "text, mark and spread");
    }
    for image in all(&page, "img") {
        assert_eq!(image.attr("alt"), Some(EVIL));
    }
    for drawing in all(&page, "[role=img]") {
        assert_eq!(drawing.attr("aria-label"), Some(EVIL));
    }
}

#[test]
fn nothing_is_fetched() {
    let (html, page) = page(&report("x"));
    for element in all(&page, "*") {
        for (name, value) in element.value().attrs() {
            assert!(!value.contains("//") || name == "xmlns" || value.starts_with("data:"), "{name}={value}");
        }
        assert!(!["link", "base", "iframe", "object", "embed"].contains(&element.value().name()));
    }
    assert_eq!(html.matches("://").count(), html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    let policy = all(&page, "meta[http-equiv='Content-Security-Policy']");
    let policy = policy[0].attr("content").unwrap();
    assert!(policy.starts_with("default-src 'none';"));
    assert!(policy.contains("img-src data:;"));
    assert!(!policy.contains("script-src 'unsafe-inline'"));
}

#[test]
fn the_policy_admits_exactly_the_script_of_the_page() {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    let (_, page) = page(&report("x"));
    let hash =
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text(all(&page, "script:not([type])")[0])));
    let policy = all(&page, "meta[http-equiv='Content-Security-Policy']")[0].attr("content").unwrap().to_owned();
    assert!(policy.contains(&format!("script-src 'sha256-{hash}';")), "{policy}");
}

#[test]
fn ids_are_unique_and_every_link_has_a_target() {
    for word in ["x", EVIL, "main", "", "2", "Ünï"] {
        let (_, page) = page(&report(word));
        let mut ids = HashSet::new();
        for element in all(&page, "[id]") {
            let id = element.attr("id").unwrap();
            assert!(!id.is_empty() && !id.contains(char::is_whitespace), "{id:?}");
            assert!(ids.insert(id), "{id} twice");
        }
        for link in all(&page, "a[href]") {
            assert!(ids.contains(&link.attr("href").unwrap()[1..]));
        }
        for element in all(&page, "[aria-labelledby]") {
            assert!(ids.contains(element.attr("aria-labelledby").unwrap()));
        }
        for path in all(&page, "path") {
            let target = path.attr("clip-path").unwrap().strip_prefix("url(#").unwrap().strip_suffix(')').unwrap();
            assert!(ids.contains(target));
        }
    }
}

#[test]
fn tables_and_images_can_be_understood_without_seeing() {
    let (_, page) = page(&report("x"));
    assert_eq!(all(&page, "html[lang=en]").len(), 1);
    assert_eq!(all(&page, "table").len(), 5);
    assert_eq!(all(&page, "table > caption:first-child").len(), 5);
    assert_eq!(all(&page, "th").len(), all(&page, "thead th[scope=col], tbody th[scope=row]").len());
    assert_eq!(all(&page, "svg").len(), 12);
    assert_eq!(all(&page, "[role=img][aria-label] > svg").len(), 12);
    assert_eq!(all(&page, "img").len(), all(&page, "img[alt]:not([alt=''])").len());
    assert_eq!(all(&page, "header, nav, main").len(), 3);
}

#[test]
fn columns_of_the_paper_say_so() {
    let (_, page) = page(&report("AUC"));
    let heading = |selector: &str| text(all(&page, selector)[0]);
    assert_eq!(heading(".table thead th:nth-child(2)"), "AUC");
    assert_eq!(heading(".table thead th:nth-child(3)"), "paper AUC");
    assert_eq!(all(&page, ".table td.paper").len(), 8);
    let named = report("AUC (paper)").to_html().unwrap();
    let named = Html::parse_document(&named);
    assert_eq!(text(all(&named, ".table thead th.paper")[0]), "AUC (paper)");
}

#[test]
fn sort_keys_are_numbers_a_script_can_read() {
    let mut table = table("x");
    let keys = [1e-300, -0.061, f64::NAN, f64::INFINITY, 0.1];
    table.rows = keys.map(|key| vec![ReportCell { sort: Some(key), ..ReportCell::default() }]).into();
    table.columns.truncate(1);
    let section = Section { blocks: vec![Block::Table(table)], ..Section::default() };
    let (_, page) = page(&Report { sections: vec![section], ..Report::default() });
    let read: Vec<Option<f64>> =
        all(&page, "tbody tr > *").iter().map(|cell| cell.attr("data-sort").map(|key| key.parse().unwrap())).collect();
    assert_eq!(read, [Some(1e-300), Some(-0.061), None, None, Some(0.1)]);
}

#[test]
fn notes_link_back_to_the_first_mark_and_unknown_marks_are_shown() {
    let mut table = table("x");
    table.notes = vec![("1".into(), "used".into()), ("2".into(), "unused".into())];
    table.rows[0][0].marks = vec!["1".into(), "?".into()];
    table.rows[1][0].marks = vec!["1".into()];
    let section = Section { blocks: vec![Block::Table(table)], ..Section::default() };
    let (_, page) = page(&Report { sections: vec![section], ..Report::default() });
    let marks = all(&page, "sup a[href='#table-x--note-0']");
    assert_eq!(marks.len(), 2);
    assert_eq!((marks[0].attr("id"), marks[1].attr("id")), (Some("table-x--note-0-back"), None));
    let back: Vec<_> = all(&page, ".notes a").iter().map(|link| link.attr("href").unwrap().to_owned()).collect();
    assert_eq!(back, ["#table-x--note-0-back"]);
    assert_eq!(text(all(&page, "sup")[0]), "1?");
}

#[test]
fn notes_of_hidden_columns_are_hidden_with_them() {
    let mut table = table("x");
    for (column, detail) in table.columns.iter_mut().zip([false, true, true]) {
        column.detail = detail;
    }
    let notes = ["everywhere", "in details", "nowhere"];
    table.notes = ["1", "2", "3"].iter().zip(notes).map(|(mark, text)| ((*mark).into(), text.into())).collect();
    table.rows.truncate(1);
    for (cell, marks) in table.rows[0].iter_mut().zip([&["1"][..], &["2", "1"], &["2"]]) {
        cell.marks = marks.iter().map(|mark| (*mark).to_owned()).collect();
    }
    let section = Section { blocks: vec![Block::Table(table)], ..Section::default() };
    let (_, page) = page(&Report { sections: vec![section], ..Report::default() });
    let hidden: Vec<_> = all(&page, ".notes li.detail").iter().map(|note| text(*note)).collect();
    assert_eq!(hidden, ["2 in details ↩"]);
    assert_eq!(all(&page, ".notes li").len(), 3);
}

#[test]
fn findings_say_which_numbers_they_are_about_and_lead_to_the_prompts_of_their_model() {
    let finding = |from: &str, source| Finding { text: "t".into(), from: from.into(), source };
    let findings = vec![
        finding("one", Source::Table("x".into())),
        finding("one", Source::Prompts("m".into())),
        finding("two", Source::Prompts("<n>".into())),
    ];
    let (_, page) = page(&Report { findings, ..report("x") });
    let headings: Vec<_> = all(&page, ".findings h3").iter().map(|heading| text(*heading)).collect();
    assert_eq!(headings, ["one", "two"]);
    let groups: Vec<_> = all(&page, ".findings ul").iter().map(|list| list.child_elements().count()).collect();
    assert_eq!(groups, [2, 1]);
    let models: Vec<_> =
        all(&page, ".findings a[href='#prompts']").iter().map(|link| link.attr("data-model")).collect();
    assert_eq!(models, [Some("m"), Some("<n>")]);
}

#[test]
fn frames_are_no_landmarks_and_contents_fold() {
    let (_, page) = page(&report("x"));
    assert_eq!(all(&page, "[role=region]").len(), 0, "a section is one already, under the same name");
    assert_eq!(all(&page, ".table .scroll[role=group][aria-label][tabindex='0']").len(), 4);
    assert_eq!(all(&page, "nav > details[open] > summary > h2").len(), 1);
}

#[test]
fn empty_reports_and_tables_render() {
    let (_, empty) = page(&Report::default());
    assert_eq!(text(all(&empty, "title")[0]), "Report");
    assert_eq!(all(&empty, "main > section").len(), 0);
    let blocks = vec![
        Block::Table(ReportTable::default()),
        Block::Table(ReportTable { rows: Vec::new(), ..table("x") }),
        Block::Figure(ReportFigure::default()),
        Block::Sheet(ContactSheet::default()),
        Block::Prompts(PromptList::default()),
    ];
    let (_, page) = page(&Report { sections: vec![Section { blocks, ..Section::default() }], ..Report::default() });
    let rows: Vec<_> = all(&page, "tbody td").iter().map(|cell| text(*cell)).collect();
    assert_eq!(rows, ["No rows", "No rows"]);
}

#[test]
fn a_row_of_the_wrong_width_is_refused() {
    let mut table = table("wide");
    table.rows[1].pop();
    let section = Section { blocks: vec![Block::Table(table)], ..Section::default() };
    let error = Report { sections: vec![section], ..Report::default() }.to_html().unwrap_err();
    assert!(matches!(&error, ReportError::RowWidth { row: 1, expected: 3, found: 2, .. }), "{error}");
    assert_eq!(error.to_string(), "table `wide`, row 1: 2 cells for 3 columns");
}

#[test]
fn long_tables_stay_small() {
    let mut table = table("x");
    let mut row = table.rows[0].clone();
    row.iter_mut().for_each(|cell| cell.spread.clear());
    table.rows = vec![row; 2000];
    let section = Section { blocks: vec![Block::Table(table)], ..Section::default() };
    let (html, page) = page(&Report { sections: vec![section], ..Report::default() });
    assert_eq!(all(&page, "tbody tr").len(), 2000);
    // Six thousand cells, each with a linked mark; the same cells without any markup are 12 kB.
    assert!(html.len() < 700_000, "{} bytes", html.len());
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(report("x").to_html().unwrap(), report("x").to_html().unwrap());
}
