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
    "fs/ext4/balloc.c": (
        "ext4_get_group_number", "ext4_get_group_desc", "ext4_validate_block_bitmap",
        "ext4_claim_free_clusters", "ext4_new_meta_blocks", "ext4_count_free_clusters", "ext4_bg_has_super",
        "ext4_inode_to_goal_block",
    ),
    "fs/ext4/dir.c": (
        "ext4_dir_llseek", "__ext4_check_dir_entry", "ext4_readdir", "ext4_htree_free_dir_info",
        "ext4_htree_store_dirent", "ext4_check_all_de",
    ),
    "fs/ext4/ext4_jbd2.c": (
        "ext4_inode_journal_mode", "__ext4_journal_start_sb", "__ext4_journal_stop", "__ext4_forget",
        "__ext4_journal_get_create_access", "__ext4_handle_dirty_metadata",
    ),
    "fs/ext4/extents.c": (
        "ext4_cache_extents", "__ext4_ext_check", "ext4_ext_check_inode", "ext4_find_extent",
        "ext4_ext_insert_extent", "ext4_ext_map_blocks", "ext4_ext_truncate", "ext4_fallocate",
        "ext4_fiemap", "ext4_swap_extents", "ext4_ext_clear_bb",
    ),
    "fs/ext4/extents_status.c": (
        "ext4_es_count", "__es_insert_extent", "ext4_exit_es", "ext4_es_init_tree", "ext4_es_insert_extent",
        "ext4_es_lookup_extent", "ext4_es_remove_extent", "ext4_exit_pending", "ext4_is_pending",
    ),
    "fs/ext4/file.c": (
        "ext4_llseek", "ext4_release_file", "ext4_file_open", "ext4_file_read_iter", "ext4_file_mmap",
        "ext4_file_write_iter",
    ),
    "fs/ext4/ialloc.c": (
        "ext4_end_bitmap_read", "ext4_mark_bitmap_end", "ext4_free_inode", "__ext4_new_inode",
        "ext4_orphan_get", "ext4_count_free_inodes", "ext4_init_inode_table",
    ),
    "fs/ext4/inode.c": (
        "ext4_iomap_end", "ext4_release_folio", "ext4_bmap", "ext4_readahead", "ext4_read_folio",
        "ext4_map_blocks", "ext4_getblk", "ext4_bread", "__ext4_iget", "ext4_write_inode", "ext4_getattr",
        "ext4_writepages", "ext4_truncate", "ext4_evict_inode", "ext4_setattr", "ext4_page_mkwrite",
    ),
    "fs/ext4/ioctl.c": (
        "ext4_reset_inode_seed", "__ext4_ioctl", "ext4_fileattr_get", "ext4_fileattr_set", "ext4_ioctl",
        "ext4_update_overhead",
    ),
    "fs/ext4/mballoc.c": (
        "ext4_mb_seq_groups_start", "mb_set_bits", "ext4_mb_init", "ext4_mb_release",
        "ext4_process_freed_data", "ext4_discard_preallocations", "ext4_mb_new_blocks", "ext4_free_blocks",
        "ext4_trim_fs", "ext4_mballoc_query_range",
    ),
    "fs/ext4/namei.c": (
        "ext4_inc_count", "ext4_tmpfile", "ext4_htree_fill_tree", "ext4_search_dir", "ext4_lookup",
        "ext4_get_parent", "ext4_mknod", "ext4_create", "ext4_mkdir", "ext4_empty_dir", "ext4_rmdir",
        "ext4_unlink", "ext4_link", "ext4_rename2",
    ),
    "fs/ext4/page-io.c": (
        "ext4_finish_bio", "ext4_release_io_end", "ext4_exit_pageio", "ext4_init_io_end", "ext4_end_bio",
        "ext4_io_submit", "ext4_io_submit_init",
    ),
    "fs/ext4/readpage.c": (
        "__read_end_io", "ext4_mpage_readpages", "ext4_exit_post_read_processing",
    ),
    "fs/ext4/super.c": (
        "ext4_kill_sb", "ext4_statfs", "ext4_sync_fs", "ext4_alloc_inode", "ext4_drop_inode",
        "ext4_free_in_core_inode", "ext4_get_tree", "ext4_fill_super", "ext4_put_super", "ext4_sb_bread",
        "__ext4_error", "__ext4_std_error", "ext4_force_commit",
    ),
    "fs/ext4/xattr.c": (
        "ext4_xattr_list_entries", "ext4_xattr_ibody_get", "ext4_xattr_get", "ext4_listxattr",
        "ext4_xattr_set_handle", "ext4_xattr_set", "ext4_xattr_delete_inode", "ext4_xattr_destroy_cache",
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
