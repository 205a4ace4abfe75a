//! From an experiment to figures and one page.

mod common;

use std::fs;

use common::{memscope, small_experiment, stderr};
use serde_json::Value;

const HOSTILE: &str = "<img src=x onerror=alert(1)>";

#[test]
fn a_page_holds_tables_figures_and_pictures_and_no_foreign_markup() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    fs::write(folder.path().join("memorized.txt"), format!("{HOSTILE}\nonion\n")).unwrap();
    let more = "figures: [roc, scores, densities, cost, weights, field, spectrum]\ngallery: {prompts: 1, images: 1}\n\
                analyses: [{field: {t: 1}}, {spectrum: {timesteps: [981, 1], probe_vectors: 4}}]\n";
    let text = fs::read_to_string(&yaml).unwrap().replace("resamples: 200}", "resamples: 50, timing: true}");
    let text = text.replace("generations: 2}", "generations: 1}").replace("[1, 2]", "[1]").replace("[42, 51]", "[42]");
    fs::write(&yaml, text + more + "prompts_limit: 1\n").unwrap();
    let wrong = memscope().arg("validate").arg(&yaml).output().unwrap();
    assert_eq!(wrong.status.code(), Some(3), "an unknown field is refused");
    let text = fs::read_to_string(&yaml).unwrap().replace("prompts_limit: 1\n", "");
    let text = text.replace("others.txt\"}", "others.txt\"}\n  limit: 2");
    fs::write(&yaml, text).unwrap();

    let results = folder.path().join("results");
    memscope().arg("run").arg(&yaml).arg("--results").arg(&results).assert().success();
    let figures = results.join("small/figures");
    for kind in ["roc", "scores-1", "scores-2", "densities", "cost", "weights", "field", "spectrum"] {
        for ending in [".svg", "-dark.svg", ".png", ".json"] {
            assert!(figures.join(format!("small-{kind}-emoji-eps{ending}")).is_file(), "{kind}{ending}");
        }
    }

    memscope().args(["verify", "theorem1", "--count", "200", "--results"]).arg(&results).assert().success();
    memscope().arg("report").arg(&results).assert().success();
    let html = fs::read_to_string(results.join("report.html")).unwrap();
    assert!(!html.contains("<img src=x"), "the prompt became an element");
    assert!(
        html.contains("&lt;img src=x onerror=alert(1)&gt;") || html.contains("&#60;img src=x onerror=alert(1)&#62;")
    );
    for words in ["A small experiment", "Theorem 1 on sampled instances", "data:image/png;base64,", "Time to score"] {
        assert!(html.contains(words), "{words}");
    }
    // How it was made: the machine, the command and the noise of the experiment.
    let manifest: Value = serde_json::from_slice(&fs::read(results.join("small/manifest.json")).unwrap()).unwrap();
    let machine = manifest["machine"].as_str().unwrap();
    assert!(machine.contains(" core") && html.contains(machine), "{machine}");
    assert!(html.contains("noise as of torch-cuda, seeds 42"));
    let drawn = html.matches("<figure").count();
    assert!(drawn >= 8, "{drawn} figures");
}

#[test]
fn a_folder_without_results_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = memscope().arg("report").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("run `memscope reproduce table1` first"), "{}", stderr(&output));
}

#[test]
fn tokens_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let strip = folder.path().join("strip.svg");
    let mut command = memscope();
    command.args(["tokens", "--model", "embedded:emoji-eps", "--prompt", HOSTILE, "--prompt", "red heart", "--json"]);
    let output = command.arg("--figure").arg(&strip).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tokens = reports[1]["tokens"].as_array().unwrap();
    assert!(tokens.len() >= 4, "{tokens:?}");
    assert!(tokens.iter().all(|token| token["gradient_norm"].as_f64().unwrap() > 0.0));
    let svg = fs::read_to_string(&strip).unwrap();
    assert!(svg.starts_with("<svg") && !svg.contains("<img"), "the prompt became an element");
}
