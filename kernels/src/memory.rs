//! What a training asks of the allocator.

/// Makes the C library keep freed memory for the next allocation instead of giving it back.
///
/// A training step frees and takes the same few hundred megabytes again and again. Given back to the
/// system they come again page by page, zeroed: an eighth of a small network's step. To be called
/// once, at the start of a program that trains; without GNU's C library it does nothing.
pub fn keep_freed() {
    #[cfg(target_env = "gnu")]
    {
        /// The heap grows by this many bytes at a time.
        const GROWTH: i32 = 64 << 20;
        // SAFETY: `mallopt` changes parameters of the allocator, under the allocator's own lock; a
        // parameter that it does not know is ignored. One arena, because others are heaps of at
        // most 64 MiB, which are given back whatever is asked for.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, GROWTH);
        }
    }
}
