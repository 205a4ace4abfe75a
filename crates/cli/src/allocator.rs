//! The memory allocator of the program.
#![allow(unsafe_code)]

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h (2 and 3), which libmimalloc-sys does not name.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory instead of handing it back to the system: a network asks for buffers of the same sizes again and
/// again, and new pages cost about 5 % of a forward (docs/performance.md). The peak stays what it is.
pub(crate) fn keep_freed_memory() {
    // The user's word counts.
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets a number in the allocator's table of options; no other thread runs yet.
        unsafe { mi_option_set(PURGE_DELAY, -1) }
    }
}
