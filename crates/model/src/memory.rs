//! How much memory this process may still take.

use std::env;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

pub use crate::memory_need::{AvailableMemory, MemoryBound, size};
use crate::{
    error::{Error, Result},
    memory_need::UNITS,
};

/// The variable that bounds the memory of this program where the system does not, as `4GB` or in bytes.
pub const MEMORY_VARIABLE: &str = "MEMSCOPE_MEMORY";

/// What there is now: the least of what the machine has free, what is left of this process's control groups, and
/// [`MEMORY_VARIABLE`]. `None` where none of them says anything.
///
/// # Errors
///
/// When [`MEMORY_VARIABLE`] is set to something that is no amount of memory.
pub fn available_memory() -> Result<Option<AvailableMemory>> {
    let refresh = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let free = System::new_with_specifics(refresh).available_memory();
    let machine = (free > 0).then_some(AvailableMemory { bytes: free, bound: MemoryBound::Machine });
    let group = control_group::left().map(|bytes| AvailableMemory { bytes, bound: MemoryBound::ControlGroup });
    let variable = env::var(MEMORY_VARIABLE).ok().filter(|text| !text.is_empty());
    let variable = variable.map(|text| parse_size(&text)).transpose()?;
    let variable = variable.map(|bytes| AvailableMemory { bytes, bound: MemoryBound::Variable });
    Ok(machine.into_iter().chain(group).chain(variable).min_by_key(|memory| memory.bytes))
}

/// `4GB`, `1.5 GB`, `500MB` or bytes.
fn parse_size(text: &str) -> Result<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => Some(1.0),
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor),
    };
    match (number.trim().parse::<f64>(), factor) {
        (Ok(number), Some(factor)) if number.is_finite() && number >= 0.0 => Ok((number * factor) as u64),
        _ => Err(Error::Argument(format!("{MEMORY_VARIABLE}='{text}' is no amount of memory; give e.g. 4GB"))),
    }
}

#[cfg(not(target_os = "linux"))]
mod control_group {
    pub(super) fn left() -> Option<u64> {
        None
    }
}

#[cfg(target_os = "linux")]
mod control_group {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    /// The files of one version of the interface.
    struct Names {
        limit: &'static str,
        usage: &'static str,
        /// Lines of `memory.stat`: pages of files, which the kernel gives up before it kills.
        caches: [&'static str; 2],
    }

    const V1: Names = Names {
        limit: "memory.limit_in_bytes",
        usage: "memory.usage_in_bytes",
        caches: ["total_inactive_file", "total_active_file"],
    };
    const V2: Names = Names { limit: "memory.max", usage: "memory.current", caches: ["inactive_file", "active_file"] };

    /// The least that a group this process is in, or one around it, has left; `None` without a limit.
    pub(super) fn left() -> Option<u64> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        left_of(&groups, Path::new("/sys/fs/cgroup"))
    }

    /// `groups`: lines `number:controllers:path`, as in `/proc/self/cgroup`.
    fn left_of(groups: &str, mount: &Path) -> Option<u64> {
        let of_line = |line: &str| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            match controllers {
                "" => least(mount, path, &V2),
                _ if controllers.split(',').any(|name| name == "memory") => least(&mount.join("memory"), path, &V1),
                _ => None,
            }
        };
        groups.lines().filter_map(of_line).min()
    }

    /// In a container the group's own path may not be visible; what is mounted is then the group itself.
    fn least(mount: &Path, path: &str, names: &Names) -> Option<u64> {
        let group: PathBuf = mount.join(path.trim_start_matches('/'));
        group.ancestors().take_while(|folder| folder.starts_with(mount)).filter_map(|at| left_in(at, names)).min()
    }

    fn left_in(folder: &Path, names: &Names) -> Option<u64> {
        let number = |name| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        // Without a limit, version 2 says "max", which is no number, and version 1 a number beyond any memory.
        let limit = number(names.limit)?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let value = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            names.caches.contains(&name).then(|| value.trim().parse::<u64>().ok())?
        };
        let caches: u64 = stat.lines().filter_map(value).sum();
        Some(limit.saturating_sub(number(names.usage)?.saturating_sub(caches)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn group(folder: &Path, names: &Names, limit: &str, usage: u64, cache: u64) {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(names.limit), limit).unwrap();
            fs::write(folder.join(names.usage), usage.to_string()).unwrap();
            fs::write(folder.join("memory.stat"), format!("anon 7\n{} {cache}\n", names.caches[0])).unwrap();
        }

        #[test]
        fn the_tightest_group_around_the_process_counts() {
            let mount = tempfile::tempdir().unwrap();
            group(&mount.path().join("jobs"), &V2, "1000\n", 600, 100);
            group(&mount.path().join("jobs/mine"), &V2, "max\n", 50, 0);
            assert_eq!(left_of("0::/jobs/mine\n", mount.path()), Some(500));
            group(&mount.path().join("jobs/mine"), &V2, "400\n", 50, 20);
            assert_eq!(left_of("0::/jobs/mine\n", mount.path()), Some(370));
            assert_eq!(left_of("0::/elsewhere\n", mount.path()), None);
        }

        #[test]
        fn version_1_is_read_where_the_kernel_mounts_it() {
            let mount = tempfile::tempdir().unwrap();
            group(&mount.path().join("memory"), &V1, "9223372036854771712\n", 5, 0);
            group(&mount.path().join("memory/box"), &V1, "800\n", 900, 300);
            assert_eq!(left_of("4:cpu,memory:/box\n3:cpuset:/\n0::/\n", mount.path()), Some(200));
            // A container that sees its own group as the root.
            group(&mount.path().join("memory"), &V1, "700\n", 5, 0);
            assert_eq!(left_of("4:memory:/hidden/by/the/container\n", mount.path()), Some(695));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let sizes = ["4GB", "1.5 gb", "500MB", "12345", "10 B", "3kB"].map(|text| parse_size(text).unwrap());
        assert_eq!(sizes, [4_000_000_000, 1_500_000_000, 500_000_000, 12_345, 10, 3_000]);
        for wrong in ["GB", "-1GB", "4 gallons", "inf"] {
            assert!(parse_size(wrong).unwrap_err().to_string().contains("4GB"), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1_000, 3_438_167_534, 12_345_678].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "3.4 GB", "12.3 MB"]);
    }

    #[test]
    fn a_machine_that_runs_tests_has_memory() {
        let available = available_memory().unwrap().expect("the system tells");
        assert!(available.bytes > 1 << 20, "{available:?}");
    }
}
