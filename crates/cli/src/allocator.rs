//! The memory allocator of the program, and how it deals with pages. docs/performance.md has the figures.
#![allow(unsafe_code)]

use std::env;

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h (2 and 3), which libmimalloc-sys does not name.
const PURGE_DELAY: mi_option_t = 15;

/// Sets what the user has not set by mimalloc's own variables.
pub(crate) fn configure() {
    if env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        keep_freed_memory();
    }
    if env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        use_small_pages();
    }
}

/// A network asks for buffers of the same sizes again and again. Handed back to the system in between, their pages cost
/// about 5 % of a forward; the peak is the same.
fn keep_freed_memory() {
    // SAFETY: sets a number in the allocator's table of options; no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}

/// Rounded up to huge pages, the thousand tensors of Stable Diffusion take 5 % more memory and are hardly faster.
fn use_small_pages() {
    // SAFETY: a flag of this process, without memory behind it. Where it is unknown the call changes nothing.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}
