use memscope_results::compare;

use crate::{
    args::Compare,
    exit_code::UserError,
    output::{print_json, print_table},
};

/// `memscope compare`.
pub(crate) fn run(args: &Compare) -> anyhow::Result<()> {
    if !(args.tolerance >= 0.0 && args.tolerance.is_finite()) {
        return Err(UserError::input(format!("--tolerance {} must be zero or more", args.tolerance)).into());
    }
    let comparison = compare(&args.first, &args.second, args.tolerance)?;
    if args.json {
        print_json(&comparison)?;
    } else {
        print_table(&comparison.table(args.tolerance)?)?;
    }
    if comparison.agrees() {
        return Ok(());
    }
    let hint = match comparison.settings.first() {
        Some(setting) => format!("; first setting that differs: {}", setting.what),
        None => "; all settings are the same".to_owned(),
    };
    let (cells, rows) = (comparison.cells.len(), comparison.unmatched.len());
    let message =
        format!("{cells} of {} numbers differ, {rows} rows or tables are on one side only{hint}", comparison.compared);
    Err(UserError::differs(message).into())
}
