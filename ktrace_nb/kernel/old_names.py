"""What functions, tracepoints and members of older kernels are called today.

One row per old name: what may stand in its place, the best first, and the change of
the kernel that renamed it: the first release without the old name and, where it could be
looked up, the commit's abbreviated hash.
A name is replaced only where the kernel at hand does not have it and has what is
listed; nothing here depends on a version number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Renamed:
    """What became of a function."""

    to: tuple[str, ...]
    """Functions that do today what it did; empty if none does."""
    since: str
    """``5.10, cad6967ac108``: the release and the commit; empty for what depends on the build."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Old parameters and where they are: ``args->flags``; those not listed kept their names."""
    instead: str = ""
    """What to do where nothing in :attr:`to` exists."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Parameters that a function which kept its name lost."""

    since: str
    parameters: Mapping[str, str]
    """Where each is now: ``bio->bi_opf & 1``."""


_CLONE = {
    "clone_flags": "args->flags", "stack_start": "args->stack", "stack_size": "args->stack_size",
    "parent_tidptr": "args->parent_tid", "child_tidptr": "args->child_tid", "tls": "args->tls",
}  # fmt: skip
_SLAB = {"cachep": "s", "flags": "gfpflags"}
_ALLOC_PAGES = ("__alloc_pages", "__alloc_pages_noprof")
_PAGES = {"gfp_mask": "gfp"}
_OPEN = {"flags": "how->flags", "mode": "how->mode"}
_LEGACY_BLOCK = "5.0, a1ce35fa4985"
_IDLE = 'probe kernel.trace("sched_switch")'

FUNCTIONS: dict[str, Renamed] = {
    # Processes and the scheduler.
    "do_fork": Renamed(("_do_fork", "kernel_clone"), "4.2, 3033f14ab78c", _CLONE),
    "_do_fork": Renamed(("kernel_clone",), "5.10, cad6967ac108", _CLONE),
    "do_execve": Renamed(("do_execveat_common",), "3.19, 51f39a1f0cea"),
    "do_execve_common": Renamed(("do_execveat_common",), "3.19, 51f39a1f0cea"),
    "context_switch": Renamed((), "", instead=_IDLE),
    "scheduler_tick": Renamed(("sched_tick",), "6.10, 86dd6c04ef9f"),
    "load_balance": Renamed(("sched_balance_rq",), "6.10, 4c3e509ea9f2"),
    "rebalance_domains": Renamed(("sched_balance_domains",), "6.10, 14ff4dbd34f4"),
    "send_signal": Renamed(("send_signal_locked",), "5.19, 157cc18122b4"),
    "__send_signal": Renamed(("__send_signal_locked",), "5.19, 157cc18122b4"),
    "specific_send_sig_info": Renamed(("send_signal_locked",), "5.19, 157cc18122b4"),
    "__group_send_sig_info": Renamed(("send_signal_locked",), "5.19"),
    "lock_kernel": Renamed((), "2.6.39, 4ba8216cd905", instead="the big kernel lock is gone"),
    "unlock_kernel": Renamed((), "2.6.39, 4ba8216cd905", instead="the big kernel lock is gone"),
    "do_IRQ": Renamed((), "5.8, fa5e5c409213", instead='probe kernel.trace("irq_handler_entry")'),
    "handle_IRQ_event": Renamed(("__handle_irq_event_percpu", "handle_irq_event"), "2.6.39"),
    "__do_softirq": Renamed(("handle_softirqs",), "6.10"),
    # Page faults and memory.
    "do_page_fault": Renamed(("handle_mm_fault",), "5.8, 91eeafea1e4b"),
    "__do_page_fault": Renamed(("handle_mm_fault",), "5.8, 91eeafea1e4b"),
    "do_mmap_pgoff": Renamed(("do_mmap",), "5.9, 45e55300f114"),
    "do_munmap": Renamed(("do_vmi_munmap",), "6.3, 183654ce26a5"),
    "__do_munmap": Renamed(("do_vmi_munmap",), "6.3, 183654ce26a5"),
    "kmem_cache_alloc": Renamed(("kmem_cache_alloc_noprof",), "6.10, 7bd230a26648", _SLAB),
    "kmem_cache_alloc_node": Renamed(("kmem_cache_alloc_node_noprof",), "6.10, 7bd230a26648"),
    "__kmalloc": Renamed(("__kmalloc_noprof",), "6.10, 7bd230a26648"),
    "__kmalloc_node": Renamed(("__kmalloc_node_noprof",), "6.10, 7bd230a26648"),
    "kmem_cache_alloc_trace": Renamed(("__kmalloc_cache_noprof", "kmalloc_trace"), "6.1"),
    "__alloc_pages_nodemask": Renamed(_ALLOC_PAGES, "5.13, 84172f4bb752", _PAGES),
    "__alloc_pages": Renamed(("__alloc_pages_noprof",), "6.10, b951aaff5035", _PAGES),
    "alloc_pages_current": Renamed(("alloc_pages_noprof", "alloc_pages"), "5.14"),
    "free_hot_cold_page": Renamed(("free_unref_page",), "4.15"),
    "vmalloc": Renamed(("vmalloc_noprof",), "6.10, 88ae5fb755b0"),
    "clear_huge_page": Renamed(("folio_zero_user",), "6.11, 78fefd04c123"),
    "copy_user_huge_page": Renamed(("copy_user_large_folio",), "6.4, c0e8150e144b"),
    "split_huge_page": Renamed(("split_huge_page_to_list_to_order", "split_huge_page_to_list"), "3.15"),
    "shrink_zone": Renamed(("shrink_node",), "4.8"),
    "zone_reclaim": Renamed(("node_reclaim",), "4.8"),
    "shrink_page_list": Renamed(("shrink_folio_list",), "6.1"),
    "shrink_inactive_list": Renamed(("shrink_lruvec",), ""),
    # The page cache.
    "find_get_page": Renamed(("__filemap_get_folio",), "3.16, 2457aec63745"),
    "find_lock_page": Renamed(("__filemap_get_folio",), "3.16, 2457aec63745"),
    "pagecache_get_page": Renamed(("__filemap_get_folio",), "5.16, 3f0c6a07fee6"),
    "find_get_entry": Renamed(("filemap_get_entry", "mapping_get_entry"), "5.12"),
    "add_to_page_cache": Renamed(("filemap_add_folio", "add_to_page_cache_lru"), "5.16, 9dd3d069406c"),
    "add_to_page_cache_locked": Renamed(("__filemap_add_folio",), "5.16, 9dd3d069406c"),
    "add_to_page_cache_lru": Renamed(("filemap_add_folio",), "5.16, 9dd3d069406c"),
    "__remove_from_page_cache": Renamed(("__filemap_remove_folio",), "5.17"),
    "__delete_from_page_cache": Renamed(("__filemap_remove_folio",), "5.17"),
    "mark_page_accessed": Renamed(("folio_mark_accessed",), "5.16, 76580b6529db", {"page": "folio"}),
    "lru_cache_add": Renamed(("folio_add_lru",), "5.16", {"page": "folio"}),
    "set_page_dirty": Renamed(("folio_mark_dirty",), "5.16", {"page": "folio"}),
    "__set_page_dirty_buffers": Renamed(("block_dirty_folio",), "5.18, e621900ad28b"),
    "end_page_writeback": Renamed(("folio_end_writeback",), "5.16", {"page": "folio"}),
    "page_cache_sync_readahead": Renamed(("page_cache_sync_ra",), "5.10"),
    "page_cache_async_readahead": Renamed(("page_cache_async_ra",), "5.10"),
    "__do_page_cache_readahead": Renamed(("page_cache_ra_unbounded",), "5.10"),
    "do_page_cache_readahead": Renamed(("force_page_cache_ra", "page_cache_ra_unbounded"), "2.6.34"),
    "mpage_readpages": Renamed(("mpage_readahead",), "5.8, d4388340ae0b"),
    "mpage_readpage": Renamed(("mpage_read_folio",), "5.19"),
    "do_generic_file_read": Renamed(("filemap_read", "generic_file_buffered_read"), "4.15"),
    "do_generic_mapping_read": Renamed(("filemap_read",), "2.6.25"),
    # Files.
    "permission": Renamed(("inode_permission",), "2.6.28"),
    "__vfs_read": Renamed(("vfs_read",), "5.10, 775802c0571f"),
    "__vfs_write": Renamed(("vfs_write",), "5.10"),
    "vfs_stat": Renamed(("vfs_statx",), "4.11, a528d35e8bfc", {"name": "filename"}),
    "vfs_lstat": Renamed(("vfs_statx",), "4.11, a528d35e8bfc", {"name": "filename"}),
    "vfs_fstatat": Renamed(("vfs_statx",), "4.11, a528d35e8bfc"),
    "vfs_readdir": Renamed(("iterate_dir",), "3.11, 5c0ba4e0762e"),
    "do_path_lookup": Renamed(("filename_lookup",), "4.2"),
    "path_lookup": Renamed(("filename_lookup",), "2.6.39"),
    "do_lookup": Renamed(("walk_component", "lookup_fast"), "3.6"),
    "real_lookup": Renamed(("lookup_slow", "__lookup_slow"), "2.6.39"),
    "open_namei": Renamed(("path_openat",), "2.6.26"),
    "__alloc_fd": Renamed(("alloc_fd",), "5.11, aa384d10f3d0"),
    "get_unused_fd": Renamed(("get_unused_fd_flags",), "3.19"),
    "do_sys_open": Renamed(("do_sys_openat2",), "5.6, fddb5d430ad9", _OPEN),
    "do_sync_read": Renamed(("new_sync_read", "vfs_read"), "4.1, 5d5d56897530"),
    "do_sync_write": Renamed(("new_sync_write", "vfs_write"), "4.1, 5d5d56897530"),
    "generic_file_read": Renamed(("generic_file_read_iter",), "2.6.19"),
    "generic_file_write": Renamed(("generic_file_write_iter",), "2.6.19"),
    "generic_file_aio_read": Renamed(("generic_file_read_iter",), "3.16"),
    "generic_file_aio_write": Renamed(("generic_file_write_iter",), "3.16, 8174202b34c3"),
    "__generic_file_aio_write": Renamed(("__generic_file_write_iter",), "3.16, 8174202b34c3"),
    "generic_file_buffered_write": Renamed(("generic_perform_write",), "3.16"),
    "generic_file_splice_read": Renamed(("filemap_splice_read",), "6.5, c6585011bc1d"),
    "__bread": Renamed(("__bread_gfp",), "3.18"),
    "__getblk": Renamed(("bdev_getblk",), "6.7"),
    "ll_rw_block": Renamed(("__bh_read_batch", "__bh_read"), "6.1"),
    "copy_strings": Renamed(("copy_string_kernel",), ""),
    # ext3, whose file systems ext4 serves since Linux 4.3, and its journal.
    "ext3_file_write": Renamed(("ext4_file_write_iter",), "4.3, c290ea01abb7"),
    "ext3_sync_file": Renamed(("ext4_sync_file",), "4.3, c290ea01abb7"),
    "ext3_readpage": Renamed(("ext4_read_folio", "ext4_readpage"), "4.3, c290ea01abb7"),
    "ext4_file_write": Renamed(("ext4_file_write_iter",), "3.16"),
    "ext4_file_read": Renamed(("ext4_file_read_iter",), "4.11"),
    "ext4_readpage": Renamed(("ext4_read_folio",), "5.19"),
    "ext4_readpages": Renamed(("ext4_readahead",), "5.8"),
    "journal_start": Renamed(("jbd2_journal_start", "jbd2__journal_start"), "4.3, c290ea01abb7"),
    # Block devices.
    "generic_make_request": Renamed(("submit_bio_noacct",), "5.9, ed00aabd5eb9"),
    "__generic_make_request": Renamed(("submit_bio_noacct",), "5.9, ed00aabd5eb9"),
    "__make_request": Renamed(("blk_mq_submit_bio",), "5.9, c62b37d96b6e"),
    "blk_queue_bio": Renamed(("blk_mq_submit_bio",), _LEGACY_BLOCK),
    "blk_mq_make_request": Renamed(("blk_mq_submit_bio",), "5.9, c62b37d96b6e"),
    "elv_next_request": Renamed(("blk_mq_dispatch_rq_list",), "2.6.31"),
    "blk_peek_request": Renamed(("blk_mq_dispatch_rq_list",), _LEGACY_BLOCK),
    "blk_start_request": Renamed(("blk_mq_start_request",), _LEGACY_BLOCK, {"req": "rq"}),
    "blk_end_request": Renamed(("blk_mq_end_request",), _LEGACY_BLOCK),
    "__blk_end_request": Renamed(("blk_mq_end_request",), _LEGACY_BLOCK),
    "end_that_request_last": Renamed(("blk_mq_end_request",), "2.6.25"),
    "end_that_request_first": Renamed(("blk_update_request",), "2.6.25"),
    "__blk_run_queue": Renamed(("blk_mq_run_hw_queue",), _LEGACY_BLOCK),
    "blk_run_queue": Renamed(("blk_mq_run_hw_queues",), _LEGACY_BLOCK),
    "__elv_add_request": Renamed((), _LEGACY_BLOCK, instead='probe kernel.trace("block_rq_insert")'),
    "elv_insert": Renamed((), _LEGACY_BLOCK, instead='probe kernel.trace("block_rq_insert")'),
    "elv_completed_request": Renamed((), _LEGACY_BLOCK, instead='probe kernel.trace("block_rq_complete")'),
    "blk_account_io_start": Renamed((), "5.16", instead='probe kernel.trace("block_io_start")'),
    "blk_account_io_done": Renamed((), "5.16", instead='probe kernel.trace("block_io_done")'),
    "blk_account_io_completion": Renamed((), "5.16", instead='probe kernel.trace("block_rq_complete")'),
    "sd_prep_fn": Renamed(("sd_init_command",), "3.18"),
    # Network.
    "sock_aio_read": Renamed(("sock_read_iter",), "4.0"),
    "sock_aio_write": Renamed(("sock_write_iter",), "4.0"),
    "sock_readv": Renamed(("sock_read_iter",), "2.6.19"),
    "sock_writev": Renamed(("sock_write_iter",), "2.6.19"),
    "sys_socketcall": Renamed((), "", instead="probe syscall.socket, syscall.connect and the like"),
    "dev_queue_xmit": Renamed(("__dev_queue_xmit",), "5.19, c526fd8f9f4f"),
    "tcp_transmit_skb": Renamed(("__tcp_transmit_skb",), "4.20"),
    "kfree_skb": Renamed(("sk_skb_reason_drop", "kfree_skb_reason"), "5.19"),
    "alloc_skb": Renamed(("__alloc_skb",), "2.6"),
    "dev_alloc_skb": Renamed(("__netdev_alloc_skb",), "2.6"),
    "skb_copy_datagram_iovec": Renamed(("skb_copy_datagram_iter",), "3.19"),
    "icmp_send": Renamed(("__icmp_send",), "5.1, 9ef6b42ad6fd"),
    "ip_fragment": Renamed(("ip_do_fragment",), "4.3"),
    "ip_route_input": Renamed(("ip_route_input_noref",), "2.6.35"),
    "ip_route_input_common": Renamed(("ip_route_input_noref",), "3.6"),
    "netif_receive_skb_internal": Renamed(("netif_receive_skb_list_internal", "__netif_receive_skb"), "5.12"),
    # Drivers.
    "write_chan": Renamed(("n_tty_write",), "2.6.28, a352def21a64"),
    "read_chan": Renamed(("n_tty_read",), "2.6.28, a352def21a64"),
}  # fmt: skip
"""Functions by their old names."""

PREFIXES: dict[str, tuple[str, str]] = {
    "ext3_": ("ext4_", "4.3, c290ea01abb7"),
    "__ext3_": ("__ext4_", "4.3, c290ea01abb7"),
    "ext2_": ("ext4_", "the kernel was built with CONFIG_EXT4_USE_FOR_EXT2"),
    "journal_": ("jbd2_journal_", "4.3, c290ea01abb7"),
    "__journal_": ("__jbd2_journal_", "4.3, c290ea01abb7"),
    "autofs4_": ("autofs_", "4.18"),
    "jbd_": ("jbd2_", "4.3, c290ea01abb7"),
}
"""Families of functions that were renamed as a whole, for names and patterns."""

MODULES: dict[str, tuple[str, ...]] = {
    # What functions of a module are named after, where that is not the module itself.
    "ext2": ("ext2_", "ext4_"),
    "ext3": ("ext4_",),
    "ext4": ("ext4_",),
    "jbd": ("jbd2_", "journal_"),
    "jbd2": ("jbd2_", "journal_"),
    "sd_mod": ("sd_",),
    "sr_mod": ("sr_",),
    "scsi_mod": ("scsi_",),
    "dm_mod": ("dm_",),
    "libata": ("ata_",),
    "autofs4": ("autofs_",),
    "sunrpc": ("rpc_", "svc_", "xprt_", "xs_"),
    "nfs": ("nfs_", "nfs3_", "nfs4_"),
    "nfsv3": ("nfs3_",),
    "nfsv4": ("nfs4_",),
    "nfsd": ("nfsd_", "nfsd3_", "nfsd4_"),
    "lockd": ("nlm_", "nlmsvc_", "lockd_"),
    "ipv6": ("ipv6_", "ip6_", "tcp_v6_", "udpv6_", "icmpv6_", "ndisc_", "inet6_"),
    "ip_tables": ("ipt_",),
    "nf_conntrack": ("nf_conntrack_", "nf_ct_"),
    "unix": ("unix_",),
    "virtio_net": ("virtnet_",),
    "usbcore": ("usb_",),
    "psmouse": ("psmouse_",),
    "vfat": ("vfat_", "fat_"),
    "fat": ("fat_",),
    "isofs": ("isofs_",),
}
"""Modules that may be part of the kernel, and what their functions are named."""

CHANGED: dict[str, Changed] = {
    # Until 4.8 the first parameter of submit_bio said whether it writes.
    "submit_bio": Changed("4.8, 4e49ea4a3d27", {"rw": "bio->bi_opf & 1"}),
    "kernel_clone": Changed("5.10, cad6967ac108", _CLONE),
    "tcp_sendmsg": Changed("4.1, 1b784140474e", {"len": "size"}),
    "udp_sendmsg": Changed("4.1, 1b784140474e", {"size": "len"}),
    "filemap_add_folio": Changed("5.16, 9dd3d069406c", {"page": "folio", "offset": "index"}),
}
"""Functions of today whose parameters older scripts name otherwise."""

TRACEPOINTS: dict[str, tuple[str, str]] = {
    "workqueue_insertion": ("workqueue_queue_work", "2.6.36"),
    "workqueue_execution": ("workqueue_execute_start", "2.6.36"),
    "sched_signal_send": ("signal_generate", "2.6.33, d1eb650ff413"),
    "signal_send": ("signal_generate", "2.6.33, d1eb650ff413"),
    "kmem_cache_alloc_node": ("kmem_cache_alloc", "6.1, 11e9734bcb6a"),
    "kmalloc_node": ("kmalloc", "6.1, 11e9734bcb6a"),
    "block_remap": ("block_bio_remap", "2.6.39"),
    "block_rq_abort": ("block_rq_error", "2.6.39"),
    "mm_vmscan_writepage": ("mm_vmscan_write_folio", "6.1"),
}
"""Tracepoints that were renamed."""

MEMBERS: dict[tuple[str, str], str] = {
    ("bio", "bi_sector"): "bi_iter.bi_sector",
    ("bio", "bi_size"): "bi_iter.bi_size",
    ("bio", "bi_idx"): "bi_iter.bi_idx",
    ("bio", "bi_rw"): "bi_opf",
    ("task_struct", "state"): "__state",
    ("task_struct", "uid"): "cred.uid.val",
    ("task_struct", "euid"): "cred.euid.val",
    ("task_struct", "gid"): "cred.gid.val",
    ("task_struct", "rss_stat"): "mm.rss_stat",
    ("file", "f_dentry"): "f_path.dentry",
    ("file", "f_vfsmnt"): "f_path.mnt",
    ("nameidata", "dentry"): "path.dentry",
    ("nameidata", "mnt"): "path.mnt",
    ("sock", "sk_family"): "__sk_common.skc_family",
    ("sock", "sk_state"): "__sk_common.skc_state",
    ("sock", "sk_daddr"): "__sk_common.skc_daddr",
    ("sock", "sk_rcv_saddr"): "__sk_common.skc_rcv_saddr",
    ("inet_sock", "daddr"): "sk.__sk_common.skc_daddr",
    ("inet_sock", "saddr"): "inet_saddr",
    ("inet_sock", "rcv_saddr"): "sk.__sk_common.skc_rcv_saddr",
    ("inet_sock", "dport"): "sk.__sk_common.skc_dport",
    ("inet_sock", "sport"): "inet_sport",
    ("inet_sock", "num"): "sk.__sk_common.skc_num",
    ("request", "rq_disk"): "q.disk",
    ("request", "sector"): "__sector",
}
"""Members of structures that moved: struct and old name, and the path to it today."""
