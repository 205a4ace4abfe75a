//! Examples at the end of the help texts.

/// `memscope reproduce`.
pub(super) const REPRODUCE: &str = "\
Examples:
  memscope reproduce table1                              # on the embedded models, in minutes
  memscope reproduce table1 table2 --json > tables.json  # one document
  memscope reproduce table1 --model sd14 --dry-run       # what it would cost on Stable Diffusion 1.4
  memscope reproduce detectors --model DIR --memorized copied.txt --non-memorized fine.txt";

/// `memscope run`.
pub(super) const RUN: &str = "\
Examples:
  memscope run audit.yaml --dry-run
  memscope run audit.yaml --set noise.seeds=[42] --set report.resamples=500
  memscope run audit.yaml --results tuesday --answers results/answers   # measures nothing that is stored there";

/// `memscope validate`.
pub(super) const VALIDATE: &str = "\
Example:
  memscope validate audit.yaml    # fields, prompts, score files and models; exit code 3 or 4 if one is missing";

/// `memscope schema`.
pub(super) const SCHEMA: &str = "\
Example:
  memscope schema > experiment.schema.json";

/// `memscope detect`.
pub(super) const DETECT: &str = "\
Examples:
  memscope detect --model sd14 --prompts prompts.txt --out scores.csv
  memscope detect --model embedded:emoji-eps --prompts table.csv --column caption --detector wen --generations 4
  memscope detect --model sd14 --lora style.safetensors --lora-scale 0.25,0.5,1 --prompts prompts.txt
  echo 'red heart' | memscope detect --model embedded:emoji-eps --prompts - --json";

/// `memscope tokens`.
pub(super) const TOKENS: &str = "\
Example:
  memscope tokens --model embedded:emoji-eps --prompt 'red heart' --figure tokens.svg";

/// `memscope compare`.
pub(super) const COMPARE: &str = "\
Examples:
  memscope compare results/table1 elsewhere/table1            # the same run twice: cell by cell
  memscope compare before/table1 after/table1 --paired        # two variants: differences on the same prompts
  memscope compare results/table1 results/detectors           # two experiments, likewise
  memscope compare results/sweep/points/001 results/sweep/points/002 --paired

Cell by cell, exit code 7 if a number differs beyond the tolerance. Paired, the differences of AUC and TPR of every model and
detector that both have, each with a 95 % bootstrap interval over prompts, and the settings that differ.";

/// `memscope verify theorem1`.
pub(super) const THEOREM1: &str = "\
Example:
  memscope verify theorem1 --count 100000 --seed 1";

/// `memscope report`.
pub(super) const REPORT: &str = "\
Examples:
  memscope report results                       # results/report.html
  memscope report before after --out both.html  # two runs overlaid: paired differences, settings, figures with both";

/// `memscope table`.
pub(super) const TABLE: &str = "\
Examples:
  memscope table results/table1/tables/table1.json --columns method,auc,tpr --format latex
  memscope table results/table1/tables/table1.json --format csv";

/// `memscope status`.
pub(super) const STATUS: &str = "\
Example:
  memscope status results";

/// `memscope evaluate`.
pub(super) const EVALUATE: &str = "\
Examples:
  memscope evaluate scores.csv
  memscope evaluate results/table1/scores.csv             # a row for each model, detector, n and seed
  memscope evaluate mine.parquet --label copied --score distance --json";

/// `memscope generate`.
pub(super) const GENERATE: &str = "\
Example:
  memscope generate --model embedded:emoji-eps --prompt 'red heart' --count 4 --out pictures";

/// `memscope models`.
pub(super) const MODELS: &str = "\
Examples:
  memscope models
  memscope models inspect checkpoint.safetensors
  memscope models fetch sd14 --variant fp16";

/// `memscope data`.
pub(super) const DATA: &str = "\
Examples:
  memscope data list
  memscope data fetch paper";

/// `memscope completions`.
pub(super) const COMPLETIONS: &str = "\
Example:
  memscope completions bash > /etc/bash_completion.d/memscope";

/// `memscope man`.
pub(super) const MAN: &str = "\
Example:
  memscope man /usr/local/share/man/man1";
