"""Which functions come from one source file, for the files that scripts name most.

The kernel has no file names, but the linker keeps what was compiled together
together: between the first and the last of a file's functions in memory there are none
of other files. For each file some functions are listed that have long been in it and
that other files call, so that no compiler inlines them away.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from ktrace_nb.kernel.facts import KernelFacts

FILES: dict[str, tuple[str, ...]] = {
    "net/socket.c": (
        "sock_alloc_file", "sockfd_lookup", "sock_from_file", "sock_alloc", "sock_release",
        "sock_sendmsg", "kernel_sendmsg", "sock_recvmsg", "kernel_recvmsg", "sock_create",
        "__sock_create", "sock_register", "kernel_bind", "kernel_connect", "kernel_accept",
        "__sys_socket", "__sys_bind", "__sys_connect", "__sys_sendto", "__sys_recvfrom", "__sys_shutdown",
        "kernel_sock_shutdown", "socket_seq_show",
    ),
    "fs/read_write.c": (
        "generic_file_llseek", "vfs_llseek", "kernel_read", "vfs_read", "kernel_write", "vfs_write",
        "ksys_read", "ksys_write", "vfs_iter_read", "vfs_iter_write", "rw_verify_area",
        "generic_write_checks",
    ),
    "fs/open.c": (
        "do_truncate", "vfs_truncate", "vfs_fallocate", "chmod_common", "vfs_open", "dentry_open",
        "file_open_name", "filp_open", "filp_close", "generic_file_open", "finish_open",
        "nonseekable_open", "file_path",
    ),
    "fs/namei.c": (
        "getname_kernel", "putname", "generic_permission", "inode_permission", "path_get", "path_put",
        "follow_up", "vfs_path_lookup", "lookup_one_len", "vfs_create", "vfs_mkdir", "vfs_rmdir",
        "vfs_unlink", "vfs_link", "vfs_rename", "vfs_symlink", "vfs_readlink", "page_symlink",
        "do_filp_open",
    ),
    "net/ipv4/tcp.c": (
        "tcp_init_sock", "tcp_poll", "tcp_ioctl", "tcp_sendmsg", "tcp_recvmsg", "tcp_set_state",
        "tcp_shutdown", "tcp_close", "tcp_disconnect", "tcp_setsockopt", "tcp_getsockopt", "tcp_done",
        "tcp_get_info",
    ),
    "net/ipv4/tcp_ipv4.c": (
        "tcp_v4_connect", "tcp_v4_mtu_reduced", "tcp_v4_err", "tcp_v4_send_check", "tcp_v4_conn_request",
        "tcp_v4_syn_recv_sock", "tcp_v4_do_rcv", "tcp_v4_early_demux", "tcp_v4_rcv",
        "tcp_v4_destroy_sock",
    ),
    "fs/proc/base.c": (
        "proc_mem_open", "mem_lseek", "proc_setattr", "task_dump_owner", "proc_pid_evict_inode",
        "proc_pid_make_inode", "pid_getattr", "pid_update_inode", "pid_delete_dentry", "proc_fill_cache",
        "tgid_pidfd_to_pid", "proc_flush_pid", "proc_pid_lookup", "proc_pid_readdir",
    ),
    "fs/proc/generic.c": (
        "proc_lookup_de", "proc_lookup", "proc_readdir_de", "proc_readdir", "proc_register", "proc_symlink",
        "_proc_mkdir", "proc_mkdir", "proc_create_data", "proc_create", "remove_proc_entry", "proc_remove",
    ),
    "fs/proc/inode.c": (
        "proc_invalidate_siblings_dcache", "proc_entry_rundown", "proc_get_inode", "proc_reg_read",
    ),
    "fs/proc/array.c": (
        "proc_task_name", "render_sigset_t", "proc_tid_stat", "proc_tgid_stat", "proc_pid_statm",
    ),
    "fs/proc/proc_sysctl.c": (
        "proc_sys_lookup", "proc_sys_permission", "proc_sys_getattr", "do_sysctl_args",
    ),
    "mm/filemap.c": (
        "filemap_fdatawrite_wbc", "filemap_write_and_wait_range", "filemap_add_folio", "filemap_read",
        "generic_file_read_iter", "filemap_fault", "generic_perform_write", "generic_file_write_iter",
        "filemap_release_folio",
    ),
    "mm/mmap.c": (
        "vma_set_page_prot", "do_mmap", "ksys_mmap_pgoff", "find_vma", "vm_munmap", "exit_mmap",
    ),
    "mm/page_alloc.c": (
        "clear_zone_contiguous", "split_page", "zone_watermark_ok", "__alloc_pages_bulk_noprof", "free_pages",
        "alloc_contig_range_noprof",
    ),
    "mm/vmscan.c": (
        "shrink_slab", "reclaim_clean_pages_from_list", "try_to_free_pages", "kswapd", "wakeup_kswapd",
    ),
    "mm/memory.c": (
        "free_pgd_range", "unmap_page_range", "zap_page_range_single", "vm_insert_page", "vmf_insert_pfn",
        "remap_pfn_range", "apply_to_page_range", "do_swap_page", "handle_mm_fault", "access_process_vm",
    ),
    "kernel/fork.c": (
        "vm_area_alloc", "vm_area_free", "__put_task_struct", "mmput", "get_task_mm", "mm_access",
        "kernel_clone", "kernel_thread", "ksys_unshare", "unshare_fd",
    ),
}  # fmt: skip
"""Functions known to be in a file."""


def functions_of_file(facts: KernelFacts, pattern: str) -> frozenset[str] | None:
    """The functions of a source file.

    Args:
        facts: The kernel.
        pattern: The end of a path, ``socket.c``; may be a pattern.

    Returns:
        Names of functions that can be traced; None if nothing is known of the file.
    """
    files = [path for path in FILES if fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")]
    found: set[str] = set()
    for path in files:
        places = sorted(place for name in FILES[path] for place in facts.symbols.addresses(name)[:1])
        if len(places) > 1:
            found |= _between(facts, places[0], places[-1])
    return frozenset(found) if found else None


def _between(facts: KernelFacts, first: int, last: int) -> set[str]:
    # Of a name that several functions have, one may be of another file.
    found = {name: facts.symbols.addresses(name) for name in facts.traceable}
    return {name for name, places in found.items() if len(places) == 1 and first <= places[0] <= last}
