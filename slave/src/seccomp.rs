//! The system calls that no build may make, as filters of the kernel (seccomp, BPF) that bubblewrap puts in force.
//!
//! They take away what a build has no use for and attacks on the kernel have had: keys of the slave's user, rings of
//! asynchronous requests, which go around every other filter, programs within the kernel, user namespaces, and sockets
//! of families that builds don't speak, some of which no network namespace holds back. Everything else is allowed: this is no list of what builds need. `ptrace` stays,
//! because debuggers and leak checkers are built and tested with it.
//!
//! Only calls in the machine's own convention are understood. The kernel ends a program that makes others, such as a
//! 32-bit one, by SIGSYS; calls of the x32 convention do not exist here.

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;

/// A filter as the kernel takes it: instructions of eight bytes.
pub(crate) type Filter = Vec<u8>;

/// No filter can be made for this kind of processor.
#[derive(Debug, thiserror::Error)]
#[error("no filter of system calls can be made for {arch}: {0}", arch = std::env::consts::ARCH)]
pub(crate) struct NoFilter(String);

impl From<BackendError> for NoFilter {
    fn from(error: BackendError) -> Self {
        Self(error.to_string())
    }
}

/// Calls that are refused as not allowed.
const FORBIDDEN: &[libc::c_long] = &[
    // Keys belong to users, and every build of a plain user's slave is that user.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // What they do is done by threads of the kernel that no filter sees.
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    // A long way into the kernel for a program that needs none of it.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // Only with capabilities, which builds have none of: refused once more, whatever the kernel's next mistake is.
    libc::SYS_acct,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_setns,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
];

/// Calls that are said not to exist, so that the C library takes the older ones: what `clone3` is asked for stands in
/// memory, where no filter looks.
const UNKNOWN: &[libc::c_long] = &[libc::SYS_clone3];

/// Families of sockets that there are; all others reach past a network namespace, or little-used code of the kernel, and a
/// kernel has new ones now and then. By the last of these a program asks which addresses it has.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// How many filters there are.
pub(crate) const COUNT: u32 = 3;

/// The filters, each with an answer of its own; the strictest answer counts.
pub(crate) fn filters() -> Result<Vec<Filter>, NoFilter> {
    let new_user = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let with = |argument: u8, flag: u64| rule(argument, Qword, MaskedEq(flag), flag);
    let mut forbidden: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN.iter().map(|&call| (call, Vec::new())).collect();
    forbidden.insert(libc::SYS_unshare, vec![with(0, new_user)?]);
    forbidden.insert(libc::SYS_clone, vec![with(0, new_user)?]);
    // Characters typed into the terminal of whoever started the slave.
    let typed = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| rule(1, Dword, Eq, request));
    forbidden.insert(libc::SYS_ioctl, typed.into_iter().collect::<Result<_, _>>()?);
    let unknown = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
    let other = |&family: &libc::c_int| SeccompCondition::new(0, Dword, Ne, u64::from(family.unsigned_abs()));
    let others = SeccompRule::new(FAMILIES.iter().map(other).collect::<Result<_, _>>()?)?;
    let sockets = [libc::SYS_socket, libc::SYS_socketpair].map(|call| (call, vec![others.clone()]));
    Ok(vec![
        filter(forbidden, libc::EPERM)?,
        filter(unknown, libc::ENOSYS)?,
        filter(sockets.into_iter().collect(), libc::EAFNOSUPPORT)?,
    ])
}

fn rule(
    argument: u8,
    length: seccompiler::SeccompCmpArgLen,
    how: seccompiler::SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, length, how, value)?])
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> Result<Filter, NoFilter> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()?;
    let own = program.iter().flat_map(|i| instruction(i.code, i.jt, i.jf, i.k));
    Ok(without_x32().into_iter().flatten().chain(own).collect())
}

/// Instructions before all others: calls of the x32 convention, which share the processor's name with all others and
/// would pass by their other numbers, are unknown.
fn without_x32() -> [[u8; 8]; 3] {
    const X32: u32 = 0x4000_0000;
    const RET_ERRNO: u32 = 0x0005_0000;
    // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K, of linux/bpf_common.h; the number of the call stands at
    // the beginning of `struct seccomp_data`.
    let load_number = instruction(0x20, 0, 0, 0);
    let pass_below = instruction(0x35, 0, 1, X32);
    let unknown = instruction(0x06, 0, 0, RET_ERRNO | libc::ENOSYS.unsigned_abs());
    [load_number, pass_below, unknown]
}

/// `struct sock_filter` of linux/filter.h, in this machine's order of bytes.
fn instruction(code: u16, jump_true: u8, jump_false: u8, k: u32) -> [u8; 8] {
    let ([c0, c1], [k0, k1, k2, k3]) = (code.to_ne_bytes(), k.to_ne_bytes());
    [c0, c1, jump_true, jump_false, k0, k1, k2, k3]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_are_whole_instructions_and_fit_into_the_kernel() {
        let filters = filters().unwrap();
        assert_eq!(filters.len(), COUNT as usize);
        for filter in filters {
            assert_eq!(filter.len() % 8, 0);
            // BPF_MAXINSNS.
            assert!((4..4096).contains(&(filter.len() / 8)));
        }
    }
}
