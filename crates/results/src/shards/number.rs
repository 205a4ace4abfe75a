//! Which part of a plan is meant.

use std::{fmt, str::FromStr};

use memscope_text::long_excerpt;

/// Shards of one plan at most.
const MOST_SHARDS: usize = 100_000;

/// One of several parts of a plan, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The whole plan.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// The `index`-th of `count`, from 1.
    ///
    /// # Errors
    /// A message where there is no such part.
    pub fn new(index: usize, count: usize) -> Result<Self, String> {
        if !(1..=MOST_SHARDS).contains(&count) {
            return Err(format!("the number of shards is {count}; it must lie in 1..={MOST_SHARDS}"));
        }
        if !(1..=count).contains(&index) {
            return Err(format!("there is no shard {index} of {count}; they are counted from 1 to {count}"));
        }
        Ok(Self { index, count })
    }

    /// Its number, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// All of the same plan.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (1..=count).map(move |index| Self { index, count })
    }
}

/// `3/8`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let parts = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
        let Some((index, count)) = parts else {
            return Err("give I/N, as 3/8 for the third of eight, or auto".into());
        };
        Self::new(index, count)
    }
}

/// A part as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// What the launcher's environment variables say.
    Auto,
    /// This one.
    Given(Shard),
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Given) }
    }
}

impl fmt::Display for ShardChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Given(shard) => shard.fmt(f),
        }
    }
}

/// The variables that launchers set.
pub struct ShardVariables<F>(pub F);

/// The variable with the number of shards, for launchers that do not say it.
const COUNT: &str = "MEMSCOPE_SHARDS";

impl<F: Fn(&str) -> Option<String>> ShardVariables<F> {
    /// The part that a choice means.
    ///
    /// # Errors
    /// A message where the variables do not say it.
    pub fn resolve(&self, choice: ShardChoice) -> Result<Shard, String> {
        match choice {
            ShardChoice::Given(shard) => Ok(shard),
            ShardChoice::Auto => self.auto(),
        }
    }

    /// HyperQueue and Kubernetes inside a Slurm job count before Slurm itself.
    fn auto(&self) -> Result<Shard, String> {
        for name in ["HQ_TASK_ID", "JOB_COMPLETION_INDEX"] {
            if let Some(index) = self.number(name)? {
                let count = self.number(COUNT)?.ok_or_else(|| {
                    format!("{name} is set, but not {COUNT}, the number of shards; set it to the number of tasks")
                })?;
                return Shard::new(index.saturating_add(1), count)
                    .map_err(|reason| format!("{name}={index} (counted from 0), {COUNT}={count}: {reason}"));
            }
        }
        let Some(task) = self.number("SLURM_ARRAY_TASK_ID")? else {
            return Err(format!(
                "none of the variables is set that say which part this is: SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or \
                 HQ_TASK_ID (both with {COUNT}); give I/N"
            ));
        };
        let needed = |name: &str| {
            self.number(name)?.ok_or_else(|| format!("SLURM_ARRAY_TASK_ID is set, but not {name}; give I/N"))
        };
        let (first, count) = (needed("SLURM_ARRAY_TASK_MIN")?, needed("SLURM_ARRAY_TASK_COUNT")?);
        if let Some(last) = self.number("SLURM_ARRAY_TASK_MAX")?
            && last.saturating_sub(first).saturating_add(1) != count
        {
            return Err(format!(
                "the array has {count} tasks from {first} to {last}, so that a task's number does not say its shard; give \
                 I/N"
            ));
        }
        let place = task.checked_sub(first).ok_or_else(|| format!("task {task} of an array that begins at {first}"))?;
        Shard::new(place + 1, count)
    }

    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        match (self.0)(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let number = text.parse().ok().filter(|number| *number <= MOST_SHARDS * 1000);
                number.map(Some).ok_or_else(|| format!("{name} is '{}', which is no number", long_excerpt(&text)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&str, &str)]) -> Result<Shard, String> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ShardVariables(find).resolve(ShardChoice::Auto)
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!("3/8".parse::<Shard>().unwrap().to_string(), "3/8");
        assert_eq!("auto".parse::<ShardChoice>().unwrap(), ShardChoice::Auto);
        for wrong in ["0/0", "0/8", "9/8", "x", "", "1", "1/", "/2", "-1/2", "1/2/3", "+1/2", "1/100001", "1 / 2"] {
            assert!(wrong.parse::<ShardChoice>().is_err(), "{wrong}");
        }
        assert!("9/8".parse::<Shard>().unwrap_err().contains("from 1 to 8"));
    }

    #[test]
    fn launchers_say_which_part_a_process_is() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "5"),
            ("SLURM_ARRAY_TASK_MIN", "3"),
            ("SLURM_ARRAY_TASK_MAX", "10"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
        ];
        assert_eq!(auto(&slurm), Shard::new(3, 8));
        let gaps = [&slurm[..2], &[("SLURM_ARRAY_TASK_MAX", "12"), slurm[3]]].concat();
        assert!(auto(&gaps).unwrap_err().contains("I/N"));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), (COUNT, "4")];
        assert_eq!(auto(&kubernetes), Shard::new(1, 4));
        assert_eq!(auto(&[&kubernetes[..], &slurm].concat()), Shard::new(1, 4));
        assert_eq!(auto(&[("HQ_TASK_ID", "3"), (COUNT, "4")]), Shard::new(4, 4));
        assert!(auto(&[("HQ_TASK_ID", "4"), (COUNT, "4")]).unwrap_err().contains("from 0"));
        assert!(auto(&kubernetes[..1]).unwrap_err().contains(COUNT));
        assert!(auto(&[("SLURM_ARRAY_TASK_ID", "two")]).unwrap_err().contains("no number"));
        assert!(auto(&[]).unwrap_err().contains("SLURM_ARRAY_TASK_ID"));
    }
}
