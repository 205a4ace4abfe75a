//! The memory allocator of the program, and how it deals with pages. docs/performance.md has the figures.
#![allow(unsafe_code)]

use std::{env, ffi::c_long};

use libmimalloc_sys::{mi_option_set, mi_option_t};
use memscope_model::Blueprint;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h (2 and 3), which libmimalloc-sys does not name.
const PURGE_DELAY: mi_option_t = 15;

/// Sets what the user has not set by mimalloc's own variables.
pub(crate) fn configure() {
    set_purge_delay(SOON);
    if env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        use_small_pages();
    }
}

/// Milliseconds after which freed pages go back to the system: long enough for the buffers of a small network.
const SOON: c_long = 100;

/// The same for a long list of prompts: short enough that what the list left free does not add up.
const AT_ONCE: c_long = 10;

/// Prompts of a long list.
const LONG: usize = 20_000;

/// What is freed while a long list is read and measured goes back sooner, which costs time.
pub(crate) fn prepare_for_list(prompts: usize) {
    if prompts >= LONG {
        set_purge_delay(AT_ONCE);
    }
}

/// Parameters of a network from which on the pages of its buffers are kept.
const LARGE: u64 = 100_000_000;

/// A large network asks for buffers of the same sizes again and again. Handed back to the system in between, their pages
/// cost about 5 % of a forward; the peak is the same.
pub(crate) fn prepare_for(model: &Blueprint) {
    if model.parameters().unet >= LARGE {
        set_purge_delay(NEVER);
    }
}

const NEVER: c_long = -1;

fn set_purge_delay(milliseconds: c_long) {
    if env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets one number in the allocator's table of options, an atomic one.
        unsafe { mi_option_set(PURGE_DELAY, milliseconds) }
    }
}

/// Rounded up to huge pages, the thousand tensors of Stable Diffusion take 5 % more memory and are hardly faster.
fn use_small_pages() {
    // SAFETY: a flag of this process, without memory behind it. Where it is unknown the call changes nothing.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}
