//! What the C library does with the memory of a tensor that dies.

/// Bytes up to which a freed tensor's memory waits in the process for the next tensor. Larger ones, whole data sets, go back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST: libc::c_int = 256 << 20;

/// Makes glibc keep the memory of freed tensors: by default it gives those above some megabytes back to the system at once, which
/// clears every page again for the next one. That took 7 % of a training step of ResNet-20, and half of the time of an empirical
/// NTK by way of Burn's operations. Does nothing elsewhere; decides nothing that is computed.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call into the C library, safe at any time: it sets two numbers under a lock")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}
