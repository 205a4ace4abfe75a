//! Sweeps against single runs, comparison of results folders, and noise of its own for each prompt.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{memscope, small_experiment, stderr};

fn run(yaml: &Path, results: &Path, set: &[&str]) {
    let mut command = memscope();
    command.arg("run").arg(yaml).arg("--results").arg(results).arg("--overwrite");
    set.iter().for_each(|given| {
        command.args(["--set", given]);
    });
    command.assert().success();
}

fn table(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Cells without footnote numbers, which count within a table.
fn values(table: &serde_json::Value) -> Vec<Vec<serde_json::Value>> {
    let rows = table["rows"].as_array().unwrap();
    rows.iter().map(|row| row.as_array().unwrap().iter().map(|cell| cell["value"].clone()).collect()).collect()
}

#[test]
fn twelve_points_equal_twelve_single_runs() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let swept = folder.path().join("swept.yaml");
    let axes = "sweep:\n  - {field: protocol.t_cos, values: [1, 21, 41]}\n  - {field: protocol.normalization, values: [none, l1, l2, spatial_l2]}\n";
    fs::write(&swept, fs::read_to_string(&yaml).unwrap() + axes).unwrap();
    let (together, single) = (folder.path().join("together"), folder.path().join("single"));
    run(&swept, &together, &[]);

    let gathered = values(&table(&together.join("small/tables/small-sweep.json")));
    let mut point = 0;
    for t_cos in ["1", "21", "41"] {
        for normalization in ["none", "l1", "l2", "spatial_l2"] {
            let settings = [format!("protocol.t_cos={t_cos}"), format!("protocol.normalization={normalization}")];
            run(&yaml, &single, &[&settings[0], &settings[1]]);
            let expected = values(&table(&single.join("small/tables/small.json")));
            let rows = &gathered[point * expected.len()..][..expected.len()];
            for (row, expected) in rows.iter().zip(&expected) {
                assert_eq!((&row[0]["text"], &row[1]["text"]), (&t_cos.into(), &normalization.into()));
                assert_eq!(row[2..], expected[..], "{settings:?}");
            }
            point += 1;
            let place = together.join(format!("small/points/{point:03}/tables/small.json"));
            assert_eq!(values(&table(&place)), expected, "{settings:?}");
        }
    }
    assert_eq!(gathered.len(), 12 * 4);
    let long = fs::read_to_string(together.join("small/sweep.csv")).unwrap();
    assert!(long.starts_with("protocol_t_cos,protocol_normalization,model,n,method,statistic,value,std,low,high\n"));
    // 12 points x 2 numbers of generations x 2 detectors x 3 statistics.
    assert_eq!(long.lines().count(), 1 + 12 * 2 * 2 * 3);
}

#[test]
fn a_wrong_sweep_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let base = fs::read_to_string(&yaml).unwrap();
    for (axes, words) in [
        ("sweep: [{field: noise.sed, values: [1]}]\n", "noise.sed"),
        ("sweep: [{field: protocol.t_cos, values: [2]}]\n", "t_cos is 2"),
        ("sweep: [{field: protocol.t_cos, values: []}]\n", "has no values"),
    ] {
        fs::write(&yaml, base.clone() + axes).unwrap();
        let output = memscope().arg("validate").arg(&yaml).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn compared_folders_agree_or_say_which_setting_differs() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
    run(&yaml, &a, &[]);
    run(&yaml, &b, &[]);
    run(&yaml, &c, &["noise.seeds=[7, 8]"]);
    let compare = |x: &Path, y: &Path| memscope().arg("compare").arg(x).arg(y).output().unwrap();
    let same = compare(&a, &b);
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    // The folder of one experiment, too.
    assert_eq!(compare(&a.join("small"), &b.join("small")).status.code(), Some(0));

    let other = compare(&a, &c);
    assert_eq!(other.status.code(), Some(7));
    assert!(stderr(&other).contains("first setting that differs: small: noise.seeds.0"), "{}", stderr(&other));
    let empty = compare(&a, folder.path());
    assert_eq!(empty.status.code(), Some(3));
    assert!(stderr(&empty).contains("holds no manifest.json"), "{}", stderr(&empty));
}

/// Scores by prompt and seed.
fn scores(results: &Path) -> BTreeMap<(String, String), String> {
    let csv = fs::read_to_string(results.join("small/scores.csv")).unwrap();
    let rows = csv.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    // model, detector, n, seed, memorized, prompt, score
    let chosen = rows.filter(|row| row[1] == "Wen norm" && row[2] == "1");
    chosen.map(|row| ((row[5].to_owned(), row[3].to_owned()), row[6].to_owned())).collect()
}

#[test]
fn noise_per_prompt_is_seeded_by_the_position_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let (own, shared) = (folder.path().join("own"), folder.path().join("shared"));
    // batch=1, so that both runs round alike.
    run(&yaml, &own, &["noise.sharing=per_prompt", "noise.seeds=[42]", "batch=1"]);
    run(&yaml, &shared, &["noise.seeds=[46, 47, 48, 49, 50]", "batch=1"]);
    let (own, shared) = (scores(&own), scores(&shared));
    for (row, prompt) in ["grapes", "koala", "custard", "angry face", "ladder"].iter().enumerate() {
        let expected = &shared[&((*prompt).to_owned(), (42 + 4 + row).to_string())];
        assert_eq!(&own[&((*prompt).to_owned(), "42".to_owned())], expected, "{prompt}");
    }
    assert_eq!(own[&("onion".to_owned(), "42".to_owned())], shared[&("onion".to_owned(), "47".to_owned())]);
}
