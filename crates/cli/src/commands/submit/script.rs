//! The scripts that Slurm is given.

use std::path::Path;

use super::super::shard::quoted;

/// What the script of the array needs.
pub(super) struct ArrayScript<'s> {
    /// The plan's name.
    pub(super) name: &'s str,
    /// The folder of the shards.
    pub(super) folder: &'s Path,
    /// The folder that the commands run in.
    pub(super) at: &'s Path,
    /// The command without its `--shard`.
    pub(super) command: &'s [String],
    pub(super) shards: usize,
    /// Minutes a shard.
    pub(super) minutes: u32,
    /// Seconds before the limit at which a shard is asked to stop.
    pub(super) warning: u32,
    pub(super) gpus: u32,
    pub(super) cpus: u32,
    /// Further options of sbatch.
    pub(super) further: &'s [String],
}

/// How often a task is queued again after its time limit, at most: a single batch that is longer than the limit would come
/// back for ever.
const MOST_RESTARTS: u32 = 100;

impl ArrayScript<'_> {
    /// The script; numbers of tasks and what is added to them come with the command that submits it.
    pub(super) fn text(&self) -> String {
        let mut text = self.head("shards", "slurm-%A_%a.txt");
        text.push_str(&format!("#SBATCH --cpus-per-task={}\n", self.cpus));
        if self.gpus > 0 {
            text.push_str(&format!("#SBATCH --gpus-per-task={}\n", self.gpus));
        }
        text.push_str(&format!("#SBATCH --time={}\n", self.minutes));
        text.push_str(&format!("#SBATCH --signal=B:USR1@{}\n#SBATCH --requeue\n", self.warning));
        self.further.iter().for_each(|option| text.push_str(&format!("#SBATCH {option}\n")));
        text.push_str(&self.start());
        text.push_str(&format!(
            r#"shard=$((SLURM_ARRAY_TASK_ID + ${{MEMSCOPE_SHARD_OFFSET:-0}}))

# Before the time limit Slurm sends USR1 to this script alone; before it takes a task away, TERM. The shard finishes its
# batch and ends with 130. After the limit the task is queued again, and goes on where it was.
limit=
trap 'limit=1; kill -USR1 "$child" 2>/dev/null' USR1
trap 'kill -TERM "$child" 2>/dev/null' TERM
{command} --shard "$shard/{shards}" &
child=$!
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
done
if [ "$code" -eq 130 ] && [ -n "$limit" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {MOST_RESTARTS} ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"#,
            command = quoted(self.command),
            shards = self.shards,
        ));
        text
    }

    /// The script of the job that merges the shards, runs the experiment on what is merged, and makes the report.
    pub(super) fn merge_text(&self, commands: &[Vec<String>]) -> String {
        let mut text = self.head("merge", "slurm-merge-%j.txt");
        text.push_str(&format!("#SBATCH --cpus-per-task={}\n#SBATCH --time=60\n", self.cpus));
        self.further.iter().for_each(|option| text.push_str(&format!("#SBATCH {option}\n")));
        text.push_str(&self.start());
        let commands: Vec<String> = commands.iter().map(|command| quoted(command)).collect();
        text.push_str(&(commands.join(" &&\n    ") + "\n"));
        text
    }

    fn head(&self, job: &str, output: &str) -> String {
        let (name, folder) = (self.name, self.folder.display());
        format!(
            "#!/bin/bash\n#SBATCH --job-name=memscope-{job}-{name}\n#SBATCH --output={folder}/{output}\n#SBATCH \
             --open-mode=append\n#SBATCH --ntasks=1\n"
        )
    }

    fn start(&self) -> String {
        let at = quoted(&[self.at.display().to_string()]);
        format!("\ncd {at} || exit 1\nexport HF_HUB_OFFLINE=1\n")
    }
}

/// Ascending numbers as an array of Slurm: `1-3,7`.
pub(super) fn array(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = vec![];
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Shards as arrays with at most so many tasks, the largest number of which is one less: what is added to the task's
/// number, and the numbers.
pub(super) fn arrays(shards: &[usize], most: usize) -> Vec<(usize, Vec<usize>)> {
    let numbers = most.saturating_sub(1).max(1);
    let mut arrays: Vec<(usize, Vec<usize>)> = vec![];
    for &shard in shards {
        let offset = (shard - 1) / numbers * numbers;
        match arrays.last_mut() {
            Some((known, tasks)) if *known == offset => tasks.push(shard - offset),
            _ => arrays.push((offset, vec![shard - offset])),
        }
    }
    arrays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_split_where_slurm_ends() {
        let all: Vec<usize> = (1..=2500).collect();
        let split = arrays(&all, 1001);
        let shown: Vec<(usize, String)> = split.iter().map(|(offset, tasks)| (*offset, array(tasks))).collect();
        let expected = [(0, "1-1000"), (1000, "1-1000"), (2000, "1-500")];
        assert_eq!(shown, expected.map(|(offset, tasks)| (offset, tasks.to_owned())));
        let missing = arrays(&[3, 5, 6, 1002], 1001);
        assert_eq!(array(&missing[0].1), "3,5-6");
        assert_eq!((missing[1].0, array(&missing[1].1)), (1000, "2".to_owned()));
    }

    #[test]
    fn the_script_stops_before_its_limit_and_is_queued_again() {
        let command = ["memscope", "run", "it's.yaml"].map(str::to_owned);
        let script = ArrayScript {
            name: "small",
            folder: Path::new("/data/results/shards/small"),
            at: Path::new("/home/me"),
            command: &command,
            shards: 8,
            minutes: 30,
            warning: 120,
            gpus: 1,
            cpus: 4,
            further: &["--partition=gpu".to_owned()],
        };
        let text = script.text();
        for line in [
            "#SBATCH --time=30",
            "#SBATCH --signal=B:USR1@120",
            "#SBATCH --requeue",
            "#SBATCH --gpus-per-task=1",
            "#SBATCH --partition=gpu",
            "export HF_HUB_OFFLINE=1",
            r#"memscope run 'it'\''s.yaml' --shard "$shard/8" &"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let head = text.lines().skip(1).take_while(|line| !line.is_empty());
        assert!(head.into_iter().all(|line| line.starts_with("#SBATCH ")), "{text}");
        let merge = script.merge_text(&[vec!["a".into()], vec!["b".into()]]);
        assert!(merge.ends_with("a &&\n    b\n") && !merge.contains("--requeue"), "{merge}");
    }
}
