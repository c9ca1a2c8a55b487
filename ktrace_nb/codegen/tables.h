/* Tables that bcc can make but has no short macro for, with BPF_HASH's defaults. */
#ifndef KTRACE_TABLES_H
#define KTRACE_TABLES_H

#define KTRACE_PICK_(a, b, c, d, chosen, ...) chosen
#define KTRACE_TABLE1_(type, name) BPF_TABLE(type, u64, u64, name, 10240)
#define KTRACE_TABLE2_(type, name, key) BPF_TABLE(type, key, u64, name, 10240)
#define KTRACE_TABLE3_(type, name, key, leaf) BPF_TABLE(type, key, leaf, name, 10240)
#define KTRACE_TABLE4_(type, name, key, leaf, size) BPF_TABLE(type, key, leaf, name, size)
#define KTRACE_TABLE_(type, ...) \
	KTRACE_PICK_(__VA_ARGS__, KTRACE_TABLE4_, KTRACE_TABLE3_, KTRACE_TABLE2_, KTRACE_TABLE1_)(type, __VA_ARGS__)

#ifndef BPF_LRU_HASH
#define BPF_LRU_HASH(...) KTRACE_TABLE_("lru_hash", __VA_ARGS__)
#endif
#ifndef BPF_LRU_PERCPU_HASH
#define BPF_LRU_PERCPU_HASH(...) KTRACE_TABLE_("lru_percpu_hash", __VA_ARGS__)
#endif

#endif
