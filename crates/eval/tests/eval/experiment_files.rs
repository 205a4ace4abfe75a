//! Errors of experiment files: place, remedy, all of them at once.

use memscope_eval::spec::ExperimentFile;

const YAML: &str = "\
name: small
title: Small
tables: [detection]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: embedded:verified, non_memorized: {file: p.txt}}
noise: {generator: torch-cuda, seeds: [42], generations: 2}
network: {dtype: f32, device: cpu}
detectors: [{name: wen}, {name: anisotropy}]
report: {generations: [1], target_fpr: 0.01, resamples: 100, fit: {splits: 5}}
gallery: {prompts: 2, images: 2}
";

#[track_caller]
fn assert_refused(from: &str, to: &str, words: &[&str]) {
    assert!(YAML.contains(from), "{from}");
    let yaml = YAML.replace(from, to);
    let line = YAML[..YAML.find(from).unwrap()].matches('\n').count() + 1;
    let error = ExperimentFile::parse("dir/small.yaml", &yaml).unwrap_err().to_string();
    for word in words.iter().copied().chain(["dir/small.yaml", &format!("line {line}")]) {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(error.len() < 2000, "{} bytes", error.len());
}

#[test]
fn wrong_values_carry_their_place() {
    ExperimentFile::parse("dir/small.yaml", YAML).unwrap().check("small").unwrap();
    assert_refused("torch-cuda", "torch-tpu", &["torch-tpu", "torch-cpu"]);
    assert_refused("dtype: f32", "dtype: f64", &["f64", "bf16"]);
    assert_refused("device: cpu", "device: tpu", &["tpu", "cuda:0"]);
    assert_refused("embedded:emoji-eps", "embedded:nothing", &["nothing", "emoji-v"]);
    assert_refused("{name: wen}", "{name: wen, gammas: {cosine: 1, norm: 1}}", &["gammas", "steps"]);
    assert_refused("{name: wen}", "{name: wem}", &["wem", "membench"]);
}

#[test]
fn numbers_have_limits() {
    assert_refused("generations: 2", "generations: 1000000000", &["noise.generations", "10000"]);
    assert_refused("generations: 2", "generations: 0", &["noise.generations", "1..="]);
    assert_refused("resamples: 100", "resamples: 1000000000", &["report.resamples", "1000000"]);
    assert_refused("splits: 5", "splits: 1000000000", &["report.fit.splits", "10000"]);
    assert_refused("prompts: 2", "prompts: 100000", &["gallery.prompts", "10000"]);
    assert_refused("images: 2", "images: 100000", &["gallery.images", "256"]);
    assert_refused("seeds: [42]", "seeds: [42, 42]", &["noise.seeds", "repeated"]);
    assert_refused("seeds: [42]", "seeds: []", &["noise.seeds", "at least one"]);
    assert_refused("target_fpr: 0.01", "target_fpr: 1.5", &["report.target_fpr", "1.5"]);
}

#[test]
fn names_are_plain_and_not_reserved() {
    for (name, word) in
        [("answers", "reserved"), ("Shards", "reserved"), ("-x", "begin"), ("../small", "letters"), ("''", "letters")]
    {
        assert_refused("name: small", &format!("name: {name}"), &["name", word]);
    }
}

#[test]
fn sweeps_are_bounded_and_name_each_field_once() {
    let sweep = |sweep: &str| {
        let yaml = format!("{YAML}sweep: {sweep}\n");
        ExperimentFile::parse("small.yaml", &yaml).unwrap_err().to_string()
    };
    let thousand: Vec<String> = (1..=1000).map(|i| i.to_string()).collect();
    let axis = |field: &str| format!("{{field: {field}, values: [{}]}}", thousand.join(", "));
    let error = sweep(&format!("[{}, {}, {}]", axis("noise.seeds.0"), axis("batch"), axis("report.resamples")));
    assert!(error.contains("1000000000 points") && error.contains("10000") && error.contains("line 11"), "{error}");
    for (given, word) in [
        ("[{field: batch, values: [1]}, {field: batch, values: [2]}]", "named twice"),
        ("[{field: name, values: [a, b]}]", "cannot be swept"),
        ("[{field: batch, values: []}]", "has no values"),
        ("[{field: batch, values: [1, 2, 1]}]", "has a value twice"),
    ] {
        let error = sweep(given);
        assert!(error.contains(word) && error.contains("line 11"), "{error}");
    }
}

#[test]
fn old_keys_say_the_new_ones() {
    assert_refused("target_fpr: 0.01", "fpr: 0.01", &["'fpr' is now called 'target_fpr'"]);
    assert_refused("gallery:", "probes: [{field: {t: 1}}]\ngallery:", &["'probes' is now called 'analyses'"]);
    let analyses = "analyses: [{spectrum: {timesteps: [1], probes: 3}}]\ngallery:";
    assert_refused("gallery:", analyses, &["'probes' is now called 'probe_vectors'"]);
    let protocol = "protocol: {cos_mode: \"x,c|x\"}\ngallery:";
    assert_refused("gallery:", protocol, &["'x,c|x' is now called 'unconditional_delta'"]);
}

#[test]
fn all_missing_fields_are_told_at_once() {
    let error = ExperimentFile::parse("x.yaml", "name: x\nprompts: {memorized: embedded:verified}\nmodels: [{}]\n");
    let error = error.unwrap_err().to_string();
    for field in ["title", "prompts.non_memorized", "models.0.source"] {
        assert!(error.contains(field), "{field} is not in: {error}");
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("model")).unwrap();
    let name = folder.path().join("small.yaml").display().to_string();
    let yaml = YAML.replace("embedded:emoji-eps", "model");
    let file = ExperimentFile::parse(&name, &yaml).unwrap();
    assert_eq!(file.models[0].source.as_str(), folder.path().join("model").to_str().unwrap());
    assert_eq!(file.prompts.non_memorized.to_string(), folder.path().join("p.txt").display().to_string());
    // Overrides do not lose that.
    let file = file.with_overrides(&name, &["batch=2".to_owned()]).unwrap();
    assert_eq!(file.models[0].source.as_str(), folder.path().join("model").to_str().unwrap());
}

/// What a section of mitigations must not say, with the reason.
#[test]
fn mitigations_are_checked() {
    let check = |section: &str, tables: &str| {
        let yaml = YAML.replace("tables: [detection]", tables).replace("gallery: {prompts: 2, images: 2}", section);
        let checked = ExperimentFile::parse("f", &yaml).and_then(|file| file.check("f"));
        checked.map_or_else(|e| e.to_string(), |_| String::new())
    };
    let plain = "tables: [mitigation]";
    assert_eq!(check("mitigation: {methods: [{name: none}, {name: wen, iterations: 3}]}", plain), "");
    for (section, tables, word) in [
        ("mitigation: {methods: []}", plain, "at least one"),
        ("mitigation: {methods: [{name: wen}, {name: wen, iterations: 3}]}", plain, "label"),
        ("mitigation: {methods: [{name: wen, learning_rate: -1}]}", plain, "learning_rate"),
        ("mitigation: {methods: [{name: wen, rho: 1}]}", plain, "rho"),
        ("mitigation: {methods: [{name: none}], images: 0}", plain, "mitigation.images"),
        ("mitigation: {methods: [{name: none}], guidance: .nan}", plain, "guidance"),
        ("mitigation: {methods: [{name: anisotropy, config: 9}]}", plain, "Table 6"),
        ("mitigation: {methods: [{name: none}]}", "tables: [mitigation_detection]", "add 4 to report.generations"),
        ("", plain, "section mitigation"),
        ("", "figures: [trade_off]", "section mitigation"),
    ] {
        let message = check(section, tables);
        assert!(message.contains(word), "{section} {tables}: {message}");
    }
}
