//! The manual pages: one for the program and one for each command that `--help` lists.

mod common;

use std::{collections::BTreeSet, fs};

use common::{memscope, stderr};

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let output = memscope().arg("man").arg(&pages).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    let found: BTreeSet<String> =
        fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    let help = String::from_utf8(memscope().arg("--help").output().unwrap().stdout).unwrap();
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(listed.len() > 10, "{help}");
    assert!(found.contains("memscope.1"), "{found:?}");
    for name in listed {
        assert!(found.contains(&format!("memscope-{name}.1")), "{name}: {found:?}");
    }
    let detect = fs::read_to_string(pages.join("memscope-detect.1")).unwrap();
    assert!(detect.contains("\\-\\-prompts"), "{detect}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_output_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = memscope().arg("man").arg(file.join("man1")).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}
