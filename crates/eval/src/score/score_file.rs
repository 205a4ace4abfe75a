//! Scores that another program computed: a detector of the user's own, in a table.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
};

use memscope_frames::{Cell, Cells, Columns, Table, prompt_column};
use memscope_metric::Score;
use memscope_results::{Warning, files, manifest::ScoreFileRecord};
use memscope_text::excerpt;

use super::{DetectorScores, GradedScores, SeedScores};
use crate::{
    error::{Error, Result},
    prompts::KnownPrompt,
    spec::DetectorEntry,
};

/// Seed and generation of a score; `None` where the file does not tell them apart.
type Noise = (Option<u64>, Option<u64>);

/// The scores of a table, checked against the noises of an experiment.
#[derive(Debug)]
pub struct ScoreFile {
    entry: DetectorEntry,
    file: String,
    sha256: String,
    scores: HashMap<String, HashMap<Noise, f64>>,
    /// The seeds that both know; one, under which all scores stand, where the file has no column `seed`.
    seeds: Vec<u64>,
    has_seeds: bool,
    /// Generations 0.. that the file has; `None` where it has no column `generation`.
    generations: Option<usize>,
}

/// What a score is read for.
pub(crate) struct Wanted<'w> {
    /// The model, as tables name it.
    pub(crate) model: &'w str,
    /// Whether it is the only one of the experiment.
    pub(crate) only_model: bool,
    /// The seeds of the experiment.
    pub(crate) seeds: &'w [u64],
}

impl ScoreFile {
    /// Reads the scores of a table: columns `prompt` and `score`, and where they are there `seed`, `generation` and `model`.
    ///
    /// # Errors
    /// The table cannot be read, holds scores of several detectors, no scores for this model or these seeds, or two
    /// different scores of one prompt under one noise.
    pub(crate) fn read(entry: &DetectorEntry, path: &Path, score: &str, wanted: &Wanted) -> Result<Self> {
        let table = memscope_frames::read_table(path, Columns::All)?;
        let fail = |reason: String| Error::Scores { file: table.file.clone(), reason };
        if table.rows() == 0 {
            return Err(fail("holds no row".into()));
        }
        for name in ["detector", "n"] {
            let values = names(&table, name);
            if values.len() > 1 {
                let values: Vec<_> = values.iter().take(5).map(|value| format!("'{}'", excerpt(value))).collect();
                return Err(fail(format!(
                    "column '{name}' has several values ({}), and a file stands for one detector: keep the rows of one",
                    values.join(", ")
                )));
            }
        }
        let rows = rows_of(&table, wanted)?;
        let prompts = prompt_column(&table, None)?;
        let scores = table.column(score, "the option score")?.numbers(&table)?;
        let (seeds, generations) = (whole(&table, "seed")?, whole(&table, "generation")?);
        let mut read: HashMap<String, HashMap<Noise, f64>> = HashMap::new();
        for row in rows {
            let prompt = prompts.get(row).text().map(str::trim).filter(|prompt| !prompt.is_empty());
            let prompt = prompt.ok_or_else(|| fail(format!("row {} has no prompt", row + 1)))?;
            let noise = (seeds.as_ref().map(|all| all[row]), generations.as_ref().map(|all| all[row]));
            let of_prompt = read.entry(prompt.to_owned()).or_default();
            if of_prompt.insert(noise, scores[row]).is_some_and(|known| known != scores[row]) {
                let hint = match noise {
                    (None, _) => "; a column seed would tell them apart",
                    (_, None) => "; a column generation would tell them apart",
                    _ => "",
                };
                let prompt = excerpt(prompt);
                return Err(fail(format!("row {} has another score of '{prompt}' than an earlier row{hint}", row + 1)));
            }
        }
        let has_seeds = seeds.is_some();
        let known: HashSet<u64> = seeds.into_iter().flatten().collect();
        let mut usable = entry.seeds().unwrap_or(wanted.seeds).to_vec();
        if has_seeds {
            usable.retain(|seed| known.contains(seed));
        } else {
            usable.truncate(1);
        }
        if usable.is_empty() {
            let list = |seeds: &[u64]| seeds.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ");
            let mut theirs: Vec<u64> = known.into_iter().collect();
            theirs.sort_unstable();
            return Err(fail(format!("has seeds {}, none of the experiment's {}", list(&theirs), list(wanted.seeds))));
        }
        let generations = generations.map(|all| all.into_iter().max().map_or(0, |most| most as usize + 1));
        let (file, sha256) = (table.file.clone(), files::sha256_of(path)?);
        Ok(Self { entry: entry.clone(), file, sha256, scores: read, seeds: usable, has_seeds, generations })
    }

    /// The detector's entry in the experiment.
    pub(crate) fn entry(&self) -> &DetectorEntry {
        &self.entry
    }

    /// Where its scores come from.
    pub(crate) fn record(&self) -> ScoreFileRecord {
        ScoreFileRecord { file: self.file.clone(), sha256: self.sha256.clone() }
    }

    /// Whether it has scores from n generations: of a file that tells generations apart the mean of the first n, of
    /// another one its only score, whatever n is.
    pub(crate) fn has(&self, n: usize) -> bool {
        self.generations.is_none_or(|known| n <= known)
    }

    fn single(&self, prompt: &str, seed: u64, generation: usize) -> Option<f64> {
        let seed = self.has_seeds.then_some(seed);
        let generation = self.generations.map(|_| generation as u64);
        self.scores.get(prompt)?.get(&(seed, generation)).copied()
    }

    fn score(&self, prompt: &str, seed: u64, n: usize) -> Option<f64> {
        let count = if self.generations.is_some() { n } else { 1 };
        let scores: Option<Vec<f64>> = (0..count).map(|generation| self.single(prompt, seed, generation)).collect();
        scores.map(|scores| scores.iter().sum::<f64>() / count as f64)
    }

    /// Whether it has every score of a prompt that the experiment asks for.
    pub(crate) fn covers(&self, prompt: &str, generations: &[usize]) -> bool {
        let mut numbers = generations.iter().filter(|n| self.has(**n));
        numbers.all(|n| self.seeds.iter().all(|seed| self.score(prompt, *seed, *n).is_some()))
    }

    /// What a reader should know of how file and experiment fit together.
    pub(crate) fn warnings(
        &self,
        (memorized, non_memorized): (&[KnownPrompt], &[KnownPrompt]),
        graded: &[KnownPrompt],
        generations: &[usize],
    ) -> Vec<Warning> {
        let lacks = |prompts: &[KnownPrompt]| prompts.iter().filter(|p| !self.covers(&p.text, generations)).count();
        let known: HashSet<&str> = [memorized, non_memorized, graded].into_iter().flatten().map(|p| &*p.text).collect();
        let extra = self.scores.keys().filter(|prompt| !known.contains(prompt.as_str())).count();
        let (detector, file) = (self.entry.label(), self.file.clone());
        let mut warnings = vec![];
        let missing = (lacks(memorized), lacks(non_memorized));
        if missing != (0, 0) || extra > 0 {
            warnings.push(Warning::ScoreFilePrompts {
                detector: detector.clone(),
                file: file.clone(),
                missing_memorized: missing.0,
                missing_non_memorized: missing.1,
                extra,
            });
        }
        let mut remark = |remark: String| {
            let (detector, file) = (detector.clone(), file.clone());
            warnings.push(Warning::ScoreFile { detector, file, remark });
        };
        if !self.has_seeds {
            remark(format!("no column seed: its scores are one run, under seed {}", self.seeds[0]));
        }
        match self.generations {
            None if generations.iter().any(|n| *n > 1) => {
                remark("no column generation: its scores stand beside every n".into());
            }
            Some(known) if generations.iter().any(|n| !self.has(*n)) => {
                remark(format!("{known} generations: it is in no row of a larger n"));
            }
            _ => {}
        }
        if !graded.is_empty() && lacks(graded) > 0 {
            remark(format!(
                "no score of {} prompts whose reproduction rate is known: it is left out of the tables about them",
                lacks(graded)
            ));
        }
        warnings
    }

    /// The scores of both classes, which it covers, from n generations.
    ///
    /// # Errors
    /// When it lacks one.
    pub(crate) fn scores(
        &self,
        n: usize,
        (memorized, non_memorized): (&[String], &[String]),
    ) -> Result<DetectorScores> {
        let of_class = |prompts: &[String], seed: u64| -> Result<Vec<Score>> {
            let score = |prompt: &String| {
                let value = self.score(prompt, seed, n).ok_or_else(|| self.missing(prompt))?;
                Ok(Score { value, parts: vec![] })
            };
            prompts.iter().map(score).collect()
        };
        let run = |&seed: &u64| -> Result<SeedScores> {
            let (memorized, non_memorized) = (of_class(memorized, seed)?, of_class(non_memorized, seed)?);
            Ok(SeedScores { seed, memorized, non_memorized })
        };
        let runs = self.seeds.iter().map(run).collect::<Result<_>>()?;
        Ok(DetectorScores { detector: self.entry.clone(), generations: n, runs })
    }

    /// The scores of graded prompts; `None` where it lacks one.
    pub(crate) fn graded(&self, generations: &[usize], prompts: &[String]) -> Option<GradedScores> {
        let usable: Vec<usize> = generations.iter().copied().filter(|n| self.has(*n)).collect();
        let of_prompts = |score: &dyn Fn(&str) -> Option<f64>| prompts.iter().map(|prompt| score(prompt)).collect();
        let several = |n: &usize| -> Option<(usize, Vec<Vec<f64>>)> {
            let of_seed = |seed: &u64| of_prompts(&|prompt| self.score(prompt, *seed, *n));
            Some((*n, self.seeds.iter().map(of_seed).collect::<Option<_>>()?))
        };
        let drawn = self.generations.map_or(0, |_| usable.iter().copied().max().unwrap_or(0));
        let single = |seed: &u64| -> Option<Vec<Vec<f64>>> {
            (0..drawn).map(|generation| of_prompts(&|prompt| self.single(prompt, *seed, generation))).collect()
        };
        Some(GradedScores {
            detector: self.entry.clone(),
            seeds: self.seeds.clone(),
            by_generations: usable.iter().map(several).collect::<Option<_>>()?,
            draws: self.seeds.iter().map(single).collect::<Option<_>>()?,
        })
    }

    fn missing(&self, prompt: &str) -> Error {
        Error::NotMeasured { detector: self.entry.label(), prompt: prompt.to_owned() }
    }
}

fn cells<'t>(table: &'t Table, name: &str) -> Option<&'t Cells> {
    table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| &*column.cells)
}

/// The values of a column, in order of their names.
fn names<'t>(table: &'t Table, column: &str) -> BTreeSet<&'t str> {
    cells(table, column).into_iter().flat_map(Cells::iter).filter_map(Cell::text).collect()
}

/// The rows about the model.
fn rows_of(table: &Table, wanted: &Wanted) -> Result<Vec<usize>> {
    let fail = |reason: String| Err(Error::Scores { file: table.file.clone(), reason });
    let Some(cells) = cells(table, "model") else {
        return match wanted.only_model {
            true => Ok((0..table.rows()).collect()),
            false => fail("has no column model, and the experiment has several models".into()),
        };
    };
    let rows: Vec<usize> = (0..table.rows()).filter(|row| cells.get(*row).text() == Some(wanted.model)).collect();
    if rows.is_empty() {
        let known: Vec<String> =
            names(table, "model").iter().take(5).map(|name| format!("'{}'", excerpt(name))).collect();
        return fail(format!(
            "has no row of the model '{}'; its column model names {}",
            wanted.model,
            known.join(", ")
        ));
    }
    Ok(rows)
}

/// A column of whole numbers, if it is there.
fn whole(table: &Table, name: &str) -> Result<Option<Vec<u64>>> {
    /// Whole numbers below are exact as f64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if cells(table, name).is_none() {
        return Ok(None);
    }
    let column = table.column(name, name)?;
    // Seeds of 64 bits are beyond what an f64 holds.
    let exact = column.cells.iter().map(|cell| cell.text().and_then(|text| text.trim().parse::<u64>().ok()));
    if let Some(exact) = exact.collect::<Option<Vec<u64>>>() {
        return Ok(Some(exact));
    }
    let numbers = column.numbers(table)?;
    if let Some(row) = numbers.iter().position(|value| value.fract() != 0.0 || !(0.0..EXACT).contains(value)) {
        let reason = format!("row {}, column '{name}': {} is no whole number from 0", row + 1, numbers[row]);
        return Err(Error::Scores { file: table.file.clone(), reason });
    }
    Ok(Some(numbers.into_iter().map(|value| value as u64).collect()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(csv: &str, seeds: &[u64], only_model: bool) -> std::result::Result<ScoreFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.csv");
        fs::write(&path, csv).unwrap();
        let entry = serde_yaml::from_str("{name: file, path: mine.csv, label: Mine}").unwrap();
        let wanted = Wanted { model: "m", only_model, seeds };
        ScoreFile::read(&entry, &path, "score", &wanted).map_err(|e| e.to_string())
    }

    fn prompt(text: &str) -> KnownPrompt {
        KnownPrompt::new(text, "s")
    }

    #[test]
    fn scores_of_n_generations_are_the_mean_of_the_first_n() {
        let csv = "prompt,seed,generation,score\na,7,0,1\na,7,1,3\nb,7,0,5\nb,7,1,6\na,8,0,0\n";
        let file = read(csv, &[7, 42], true).unwrap();
        let both = (["a".to_owned()], ["b".to_owned()]);
        let of = |n| file.scores(n, (&both.0, &both.1)).unwrap().runs;
        assert_eq!((of(1).len(), of(1)[0].seed), (1, 7), "seed 42 has no scores");
        assert_eq!((of(1)[0].memorized[0].value, of(1)[0].non_memorized[0].value), (1.0, 5.0));
        assert_eq!((of(2)[0].memorized[0].value, of(2)[0].non_memorized[0].value), (2.0, 5.5));
        assert!(file.has(2) && !file.has(3));
        assert_eq!(file.graded(&[1, 2], &["a".to_owned()]).unwrap().draws, [[[1.0], [3.0]]]);
    }

    #[test]
    fn missing_and_extra_prompts_are_counted() {
        let file = read("prompt,score\na,1\nb,2\nelse,3\n", &[42], true).unwrap();
        let (memorized, others) = ([prompt("a"), prompt("c")], [prompt("b"), prompt("d"), prompt("e")]);
        let warnings = file.warnings((&memorized, &others), &[], &[1]);
        let text = warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(text.contains("1 memorized and 2 non-memorized") && text.contains("1 prompt"), "{text}");
        assert!(text.contains("under seed 42"), "{text}");
    }

    #[test]
    fn what_cannot_be_one_detector_is_refused() {
        for (csv, words) in [
            ("prompt,score\na,1\na,2\n", vec!["row 2", "'a'", "seed"]),
            ("prompt,detector,score\na,x,1\nb,y,2\n", vec!["detector", "'x', 'y'"]),
            ("prompt,n,score\na,1,1\na,4,2\n", vec!["column 'n'"]),
            ("prompt,seed,score\na,9,1\n", vec!["seeds 9", "42"]),
            ("prompt,seed,score\na,0.5,1\n", vec!["row 1", "0.5"]),
            ("prompt,model,score\na,other,1\n", vec!["'m'", "'other'"]),
            ("prompt,value\na,1\n", vec!["score"]),
            ("prompt,score\n", vec!["no row"]),
            ("prompt,score\na,nan\n", vec!["row 1", "finite"]),
        ] {
            let message = read(csv, &[42], true).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{csv}: {message}");
        }
        let message = read("prompt,score\na,1\n", &[42], false).unwrap_err();
        assert!(message.contains("column model"), "{message}");
    }
}
